"""Multi30k's models trained on JAX, for a GPU, and translated with TensorFlow: GNMT beside the plain recurrent model.

    keras-attention vocabulary train.lc.norm.tok.en.gz train.lc.norm.tok.de.gz --size 6000 --output joint.sentencepiece
    python benchmarks/multi30k_jax.py prepare --vocabulary joint.sentencepiece --folder FOLDER
    KERAS_BACKEND=jax python benchmarks/multi30k_jax.py train gnmt --folder FOLDER
    python benchmarks/multi30k_jax.py score gnmt --vocabulary joint.sentencepiece --folder FOLDER

`prepare` writes the ids of the sentences; `train` needs no data but them, and keeps the weights of the pass with the
smallest loss on val; `score` gives BLEU on val, greedily and with a beam of 5, with a shortlist too (`--shortlist`).
Batches of 128 sentences padded to 22 or 44 tokens; Adam with the schedule of `train translation`, cooled down over the
last fifth. Same files, sizes, batches and number of updates for all models that are compared.
"""

import argparse
import json
import pathlib
import time

import numpy as np
from decoding import lines

LENGTHS, BATCH, SMOOTHING, SEED = (22, 44), 128, 0.1, 1
SIZES = {"units": 192, "embedding_dim": 192, "layers": 3, "cell": "lstm"}
PLAIN = SIZES | {
    "attention": "bahdanau",
    "encoder_units": 134,
    "residual": True,
    "attention_options": {"normed": True},
}
RECURRENT = {"updates": 9000, "rate": 2e-3, "warmup": 500, "clip": 1.0}
# Name: the class's name, its arguments beside the preset's, and the training.
WORK = {
    "gnmt": ("GNMTTranslator", SIZES | {"dropout": 0.3}, RECURRENT),
    "gnmt_dropout_0.2": ("GNMTTranslator", SIZES | {"dropout": 0.2}, RECURRENT),
    "plain": ("RecurrentTranslator", PLAIN | {"dropout": 0.3}, RECURRENT),
    "plain_dropout_0.2": ("RecurrentTranslator", PLAIN | {"dropout": 0.2}, RECURRENT),
    "transformer": (
        "TransformerTranslator",
        {"tied": "all"},
        {"updates": 16_000, "rate": 3e-3, "warmup": 2000, "clip": 1000.0},
    ),
}


def make(name, vocabulary_size):
    from keras_attention import models

    kind, arguments, _ = WORK[name]
    return getattr(models, kind).from_preset("tiny", vocabulary_size, vocabulary_size, **arguments)


def prepare(options):
    """Ids of both files, padded: sources, targets with a begin, and labels with an end."""
    from keras_attention.data.token_batches import TokenBatches

    tokenizer, arrays = read_tokenizer(options), {}
    for part in ("train", "val"):
        pairs = list(zip(*(lines(f"{part}.lc.norm.tok.{side}.gz") for side in ("en", "de")), strict=True))
        batches = TokenBatches(pairs, tokenizer, tokenizer, 2048, SEED)
        rows = [
            columns
            for inputs, labels in batches.dataset().take(batches.steps_per_epoch)
            for columns in zip(inputs["source"].numpy(), inputs["target"].numpy(), labels.numpy(), strict=True)
        ]
        kept = [row for row in rows if max(np.count_nonzero(ids) for ids in row) <= LENGTHS[-1]]
        print(f"{part}: {len(kept):,} of {len(rows):,} pairs")
        for index, name in enumerate(("source", "target", "labels")):
            arrays[f"{part}_{name}"] = np.array([padded(row[index]) for row in kept], "int16")
    options.folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.folder / "ids.npz", vocabulary_size=len(tokenizer.vocabulary), **arrays)


def padded(ids):
    return np.pad(ids[: LENGTHS[-1]], (0, max(0, LENGTHS[-1] - len(ids))))


def read_tokenizer(options):
    from keras_attention.text import SentencePieceTokenizer

    return SentencePieceTokenizer(options.vocabulary.read_bytes())


def train(options):
    import jax
    import jax.numpy as jnp
    import keras

    from keras_attention.training import InverseSquareRoot, MaskedCrossentropy

    ids = np.load(options.folder / "ids.npz")
    keras.utils.set_random_seed(SEED)
    model, (_, _, training) = make(options.name, int(ids["vocabulary_size"])), WORK[options.name]
    columns = [ids[f"train_{name}"].astype("int32") for name in ("source", "target", "labels")]
    on_val = [jnp.array(ids[f"val_{name}"].astype("int32")) for name in ("source", "target", "labels")]

    crossentropy = MaskedCrossentropy(label_smoothing=SMOOTHING, reduction="mean_with_sample_weight")
    schedule = InverseSquareRoot(training["rate"], training["warmup"], training["updates"] // 5, training["updates"])
    optimizer = keras.optimizers.Adam(schedule, beta_2=0.98, epsilon=1e-8, global_clipnorm=training["clip"])
    optimizer.build(model.trainable_variables)

    def loss_of(weights, others, batch, is_training):
        source, target, labels = batch
        inputs = {"source": source, "target": target}
        logits, others = model.stateless_call(weights, others, inputs, training=is_training)
        return crossentropy(labels, logits), others

    def update(weights, others, state, batch):
        (loss, others), slopes = jax.value_and_grad(loss_of, has_aux=True)(weights, others, batch, True)
        weights, state = optimizer.stateless_apply(state, slopes, weights)
        return weights, others, state, loss

    update = jax.jit(update, donate_argnums=(0, 1, 2))
    val_loss = jax.jit(lambda weights, others: loss_of(weights, others, on_val, False)[0])
    if options.weights:
        assign(model, options.weights)
        optimizer.iterations.assign(options.done)
    parts = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    weights, others, state = ([variable.value for variable in some] for some in parts)
    generator, best, done, began = np.random.default_rng(SEED + options.done), np.inf, options.done, time.perf_counter()
    history = (options.folder / f"{options.name}.history.jsonl").open("a" if options.weights else "w")
    while done < training["updates"]:
        losses = []
        for rows, length in batches_of(columns, generator)[: training["updates"] - done]:
            done += 1
            batch = [column[rows, :length] for column in columns]
            weights, others, state, loss = update(weights, others, state, batch)
            losses.append(loss)
        row = {"updates": done, "loss": float(np.mean(losses)), "val_loss": float(val_loss(weights, others))}
        row["seconds"] = round(time.perf_counter() - began, 1)
        print(row, flush=True)
        print(json.dumps(row), file=history, flush=True)
        if row["val_loss"] < best:
            best = row["val_loss"]
            np.savez(options.folder / f"{options.name}.npz", *map(np.asarray, weights))


def assign(model, weights):
    saved = np.load(weights)
    for variable, name in zip(model.trainable_variables, saved.files, strict=True):
        variable.assign(saved[name])


def batches_of(columns, generator):
    """Rows and a length for each batch of a pass."""
    size = np.maximum(np.count_nonzero(columns[0], 1), np.count_nonzero(columns[2], 1))
    batches = []
    for rows, length in zip((np.where(size <= LENGTHS[0])[0], np.where(size > LENGTHS[0])[0]), LENGTHS, strict=True):
        rows = generator.permutation(rows)
        batches += [(rows[begin : begin + BATCH], length) for begin in range(0, len(rows) - BATCH + 1, BATCH)]
    return [batches[index] for index in generator.permutation(len(batches))]


def score(options):
    from keras_attention.bleu import corpus_scores
    from keras_attention.decoding import Beam, Greedy
    from keras_attention.tasks import TextToText
    from keras_attention.tasks.shortlists import learn_shortlist

    tokenizer = read_tokenizer(options)
    model = make(options.name, len(tokenizer.vocabulary))
    assign(model, options.folder / f"{options.name}.npz")
    sources, references = (lines(f"val.lc.norm.tok.{side}.gz") for side in ("en", "de"))
    shortlists = {"all tokens": None}
    if options.shortlist:
        learned = TextToText(model, tokenizer, tokenizer)
        pairs = (lines(f"train.lc.norm.tok.{side}.gz") for side in ("en", "de"))
        shortlists["shortlist"] = learn_shortlist(learned, *pairs, 50, 200, 64)
    strategies = {"greedy": Greedy(), "beam 4": Beam(4), "beam 5, length penalty 1": Beam(5, length_penalty=1.0)}
    for name, shortlist in shortlists.items():
        for strategy, search in strategies.items():
            task = TextToText(model, tokenizer, tokenizer, search, max_length=80, shortlist=shortlist)
            found = [conversion.text for conversion in task(sources, batch_size=64)]
            print(f"{options.name}, {name}, {strategy}: {corpus_scores(found, references, tokenized=True)[0].text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("prepare", "train", "score"))
    parser.add_argument("name", nargs="?", choices=WORK, default="gnmt")
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="folder of ids, weights and learning curves")
    parser.add_argument("--vocabulary", type=pathlib.Path, help="SentencePiece model")
    parser.add_argument("--weights", type=pathlib.Path, help="go on from a file of weights; Adam's averages begin anew")
    parser.add_argument("--done", type=int, default=0, help="updates that the file of weights has had")
    parser.add_argument("--shortlist", action="store_true", help="score with a shortlist, too")
    options = parser.parse_args()
    {"prepare": prepare, "train": train, "score": score}[options.what](options)


if __name__ == "__main__":
    main()
