"""Decoding speed of an exported Transformer, beside CTranslate2 and KerasHub: sentences a second on one core.

`python benchmarks/decoding.py` (needs `pip install ctranslate2 keras-hub`). 3 + 3 layers of width 256, feed-forward
1,024, 8 heads, a vocabulary of 10,000, and random weights that never choose the end, so that every sentence takes 40
steps; what one sentence takes is measured with 4 + 4 layers of width 128, feed-forward 256, 4 heads, too. The sentences
are those of Multi30k's test set if `../shared/data` has it, else made up with its lengths. Ours is measured from
strings to strings through the SavedModel, the others from ids to ids. CTranslate2 gets our weights, and must find our
sentences. "Products alone" is what no engine does without: each matrix of the decoder times one row, in every step,
by NumPy, and nothing else.
"""

import argparse
import collections
import functools
import gzip
import pathlib
import statistics
import tempfile
import time
from typing import NamedTuple

import numpy as np
from harness import ROOT, measure, one_core, report, save

VOCABULARY, STEPS = 10_000, 40


class Sizes(NamedTuple):
    layers: int = 3
    units: int = 256
    num_heads: int = 8
    feed_forward_units: int = 1024


class Work(NamedTuple):
    width: int
    batch: int
    goal: float | None = None  # of CTranslate2's sentences a second
    sizes: Sizes = Sizes()


COMPARED = {
    "greedy, batch 64": Work(1, 64, 1.1),
    "greedy, batch 1": Work(1, 1, 0.8),
    "beam 4, batch 64": Work(4, 64, 0.8),
    "beam 4, batch 1": Work(4, 1, 0.6),
}
WORK = COMPARED | {"one sentence": Work(1, 1, sizes=Sizes(4, 128, 4, 256))}
DATA = ROOT.parent / "shared/data/multi30k"


def lines(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return [line.strip() for line in file]


def sentences():
    """A thousand sentences, and a tokenizer of 10,000 pieces."""
    from keras_attention.text import SentencePieceTokenizer

    if DATA.is_dir():
        learned = lines("train.lc.norm.tok.en.gz") + lines("train.lc.norm.tok.de.gz")
        return lines("test_2016_flickr.lc.norm.tok.en.gz"), SentencePieceTokenizer.train(learned, VOCABULARY)
    print(f"{DATA} is not there: the sentences are made up.")
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("abcdefghijklmnopqrstuvwxyz"), 6)) for _ in range(9000)]
    made = [" ".join(generator.choice(words, int(np.clip(generator.normal(12, 4), 4, 35)))) for _ in range(1000)]
    return made, SentencePieceTokenizer.train([*words, *made], VOCABULARY)


def model(sizes):
    """Ours, with random weights of which the end is never the best."""
    import keras

    from keras_attention import TransformerTranslator
    from keras_attention.text import END_ID

    keras.utils.set_random_seed(0)
    made = TransformerTranslator(VOCABULARY, VOCABULARY, norm="pre", **sizes._asdict())
    table = made.decoder.embedding.embeddings
    rows = table.numpy()
    rows[END_ID] = 0.0
    table.assign(rows)
    return made


def shortlist(tokenizer, per_token=40, always=200):
    """What each piece of English stands beside most often in Multi30k's pairs, by Dice's coefficient.

    It is of the size and the overlap that the attention of a trained model gives; the model here has learned nothing.
    """
    import tensorflow as tf

    from keras_attention.decoding import Shortlist

    def ids(name):
        return [set(row) for row in tokenizer.encode(tf.constant(lines(name))).to_list()]

    pairs = list(zip(ids("train.lc.norm.tok.en.gz"), ids("train.lc.norm.tok.de.gz"), strict=True))
    sources = collections.Counter(index for source, _ in pairs for index in source)
    targets = collections.Counter(index for _, target in pairs for index in target)
    together = collections.defaultdict(collections.Counter)
    for source, target in pairs:
        for index in source:
            together[index].update(target)
    rows = [[] for _ in tokenizer.vocabulary.tokens]
    for index, counts in together.items():
        dice = {target: count / (sources[index] + targets[target]) for target, count in counts.items()}
        rows[index] = sorted(dice, key=dice.get, reverse=True)[:per_token]
    return Shortlist(rows, [index for index, _ in targets.most_common(always)])


def ours(width, batch, texts, tokenizer, sizes, short=False, dtype=None):
    import tensorflow as tf

    from keras_attention import Beam, Greedy, TextToText

    strategy = Greedy() if width == 1 else Beam(width)
    with tempfile.TemporaryDirectory() as folder:
        converter = TextToText(model(sizes), tokenizer, tokenizer, strategy, max_length=STEPS - 1)
        if dtype:
            converter = converter.with_dtype(dtype)
        if short:
            converter = converter.with_shortlist(shortlist(tokenizer))
        version = converter.export(folder)
        begin = time.perf_counter()
        loaded = tf.saved_model.load(str(version))
        signature = loaded.signatures["serving_default"]
        load_seconds = time.perf_counter() - begin

        def run(rows):
            return signature(text=tf.constant(rows))["text"].numpy()

        begin = time.perf_counter()
        run(texts[:batch])
        first_seconds = time.perf_counter() - begin
        return run, bytes.decode, {"load_s": load_seconds, "first_call_s": first_seconds}


def ctranslate2(width, batch, texts, tokenizer, sizes):
    import ctranslate2 as ct2
    import tensorflow as tf

    from keras_attention import TextToText
    from keras_attention.engines import export_ctranslate2

    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "model"
        export_ctranslate2(TextToText(model(sizes), tokenizer, tokenizer, max_length=STEPS), folder, examples=texts[:2])
        translator = ct2.Translator(str(folder), device="cpu", compute_type="float32", intra_threads=1, inter_threads=1)
    tokens = {
        text: [token.decode() for token in row]
        for text, row in zip(texts, tokenizer.tokenize(tf.constant(texts)).to_list(), strict=True)
    }

    def run(rows):
        found = translator.translate_batch(
            [tokens[row] for row in rows], beam_size=width, max_decoding_length=STEPS, max_batch_size=batch,
            length_penalty=0, suppress_sequences=[["[UNKNOWN]"], ["[PAD]"], ["[START]"]],
        )  # fmt: skip
        return [row.hypotheses[0] for row in found]

    def text_of(pieces):
        return tokenizer.detokenize(tokenizer.vocabulary.ids(tf.constant(pieces))).numpy().decode()

    run(texts[:batch])
    return run, text_of, {}


def keras_hub(width, batch, texts, tokenizer, sizes):
    """KerasHub's layers with their caches, and its samplers, in one graph."""
    import keras
    import keras_hub as hub
    import tensorflow as tf

    from keras_attention.text import START_ID

    keras.utils.set_random_seed(0)
    layers, units, heads, feed_forward = sizes
    embed = hub.layers.TokenAndPositionEmbedding(VOCABULARY, 512, units)
    encoders = [hub.layers.TransformerEncoder(feed_forward, heads, normalize_first=True) for _ in range(layers)]
    decoders = [hub.layers.TransformerDecoder(feed_forward, heads, normalize_first=True) for _ in range(layers)]
    output = keras.layers.Dense(VOCABULARY)
    sampler = hub.samplers.GreedySampler() if width == 1 else hub.samplers.BeamSampler(num_beams=width)
    ids = {text: row for text, row in zip(texts, tokenizer.encode(tf.constant(texts)).to_list(), strict=True)}

    def encode(source):
        hidden, mask = embed(source), source != 0
        for layer in encoders:
            hidden = layer(hidden, padding_mask=mask)
        return hidden, mask

    def decode(tokens, hidden, mask, cache, cross, index, fresh=False):
        positions = tf.cast(index, tf.int32)
        outputs = embed(tokens, start_index=positions)
        caches, crosses = [], []
        for number, layer in enumerate(decoders):
            outputs, own, other = layer(
                outputs, hidden, encoder_padding_mask=mask, self_attention_cache=cache[:, number],
                self_attention_cache_update_index=index, cross_attention_cache=cross[:, number],
                cross_attention_cache_update_index=0 if fresh else None,
            )  # fmt: skip
            caches.append(own)
            crosses.append(other)
        return output(outputs), tf.stack(caches, 1), tf.stack(crosses, 1)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def generate(source):
        hidden, mask = encode(source)
        rows, length = tf.unstack(tf.shape(source))
        head = units // heads
        cache = tf.zeros([rows, layers, 2, STEPS + 1, heads, head])
        cross = tf.zeros([rows, layers, 2, length, heads, head])
        _, _, cross = decode(tf.fill([rows, 1], START_ID), hidden, mask, cache, cross, 0, fresh=True)

        def step(prompt, cache, index):
            rows_now = tf.shape(prompt)[0] // tf.shape(source)[0]
            token = tf.slice(prompt, [0, index - 1], [tf.shape(prompt)[0], 1])
            logits, cache, _ = decode(
                token, tf.repeat(hidden, rows_now, 0), tf.repeat(mask, rows_now, 0), cache,
                tf.repeat(cross, rows_now, 0), index - 1,
            )  # fmt: skip
            return tf.squeeze(logits, 1), None, cache

        prompt = tf.concat([tf.fill([rows, 1], START_ID), tf.zeros([rows, STEPS], tf.int32)], 1)
        return sampler(step, prompt, cache=cache, index=1, mask=tf.sequence_mask([1], STEPS + 1) & (prompt >= 0),
                       stop_token_ids=[-1])  # fmt: skip

    def run(rows):
        source = tf.keras.utils.pad_sequences([ids[row] for row in rows], padding="post", dtype="int32")
        return generate(source).numpy()

    decode(tf.ones([1, 1], tf.int32), *encode(tf.ones([1, 3], tf.int32)),
           tf.zeros([1, layers, 2, STEPS + 1, heads, units // heads]),
           tf.zeros([1, layers, 2, 3, heads, units // heads]), 0, fresh=True)  # fmt: skip
    run(texts[:batch])
    return run, str, {}


def products(width, batch, texts, tokenizer, sizes):
    """The decoder's matrices, one after another, in each of 40 steps."""
    layers, units, _, feed_forward = sizes
    generator = np.random.default_rng(0)
    shapes = layers * [*6 * [(units, units)], (units, feed_forward), (feed_forward, units)] + [(units, VOCABULARY)]
    matrices = [generator.normal(size=shape).astype("float32") for shape in shapes]

    def run(rows):
        vectors = {size: np.ones([len(rows), size], "float32") for size in (units, feed_forward)}
        for _ in range(STEPS):
            for matrix in matrices:
                vectors[matrix.shape[0]] @ matrix
        return rows

    run(texts[:batch])
    return run, str, {}


CONTESTANTS = {"ours": ours, "CTranslate2": ctranslate2, "KerasHub": keras_hub, "products alone": products}
SHORT, HALF = "ours, shortlist", "ours, bfloat16"
SHORT_GOALS = {
    "greedy, batch 64": 1.1,
    "greedy, batch 1": 0.9,
    "beam 4, batch 64": 1.2,
    "beam 4, batch 1": 0.95,
    "one sentence": 1 / 1.7,  # 1.7 times the time
}
LATENCY_GOALS = {"load_s": 1.0, "first_call_s": 1.0, "median_ms": 12.0}


def contest(name, work, count):
    width, batch, _, sizes = WORK[work]
    texts, tokenizer = sentences()
    texts = sorted(texts[:count], key=len)
    contestants = CONTESTANTS | {
        SHORT: functools.partial(ours, short=True),
        HALF: functools.partial(ours, dtype="bfloat16"),
    }
    run, text_of, figures = contestants[name](width, batch, texts, tokenizer, sizes)
    begin, cpu, found, single = time.perf_counter(), time.process_time(), [], []
    for row in range(0, len(texts), batch):
        before = time.perf_counter()
        found += list(run(texts[row : row + batch]))
        single.append(time.perf_counter() - before)
    cpu = time.process_time() - cpu
    report(
        sentences_per_s=len(texts) / (time.perf_counter() - begin),
        sentences_per_cpu_s=len(texts) / cpu,
        median_ms=1000 * statistics.median(single),
        texts=[text_of(result) for result in found[:50]] if name in ("ours", "CTranslate2") else [],
        **figures,
    )


def latency():
    """How long loading takes, the first call, and then one sentence; what one sentence takes elsewhere."""
    figures = {}
    for cores, flags in (("one core", ()), ("all cores, default threads", ("--all-cores",))):
        row = measure(__file__, "one sentence", "--contestant", "ours", "--count", 100, *flags)
        figures[cores] = {name: row[name] for name in LATENCY_GOALS}
        for name, goal in LATENCY_GOALS.items():
            print(f"one sentence, {cores}: {name} {row[name]:.2f} (goal {goal:g})", flush=True)
    for name in ("CTranslate2", "products alone"):
        row = measure(__file__, "one sentence", "--contestant", name, "--count", 100)
        figures[name] = {"median_ms": row["median_ms"]}
        print(f"one sentence, one core, {name}: median_ms {row['median_ms']:.2f}", flush=True)
    return figures


def with_shortlist(only, rounds=3):
    """Ours with a shortlist and without beside CTranslate2 with its full vocabulary: ratios of several rounds."""
    figures = {}
    for work in only or SHORT_GOALS:
        goal = SHORT_GOALS[work]
        count = 500 if WORK[work].batch > 1 else 100
        rates = {name: [] for name in (SHORT, "ours", "CTranslate2")}
        for _ in range(rounds):
            for name, each in rates.items():
                row = measure(__file__, work, "--contestant", name, "--count", count)
                each.append(row["sentences_per_cpu_s"])
        ratios = {name: sorted(np.divide(rates[name], rates["CTranslate2"])) for name in (SHORT, "ours")}
        figures[work] = {"goal": goal, "sentences_per_cpu_s": rates, "of_ctranslate2": ratios}
        median = {name: ratio[len(ratio) // 2] for name, ratio in ratios.items()}
        print(
            f"{work:18} of CTranslate2: {median[SHORT]:.2f} with a shortlist, at worst {ratios[SHORT][0]:.2f} (goal "
            f"{goal:.2f}); {median['ours']:.2f} without",
            flush=True,
        )
    if not only:
        save("decoding_shortlist", "python benchmarks/decoding.py --shortlist", figures)


def with_bfloat16(rounds=2):
    """Ours with its weights in bfloat16 beside ours in float32: ratios of several rounds."""
    figures = {}
    for work in COMPARED:
        count = 320 if WORK[work].batch > 1 else 40
        ratios = []
        for _ in range(rounds):
            half, whole = (
                measure(__file__, work, "--contestant", name, "--count", count)["sentences_per_cpu_s"]
                for name in (HALF, "ours")
            )
            ratios.append(half / whole)
        figures[work] = sorted(ratios)
        print(f"{work:18} bfloat16 of float32: {', '.join(f'{ratio:.2f}' for ratio in figures[work])}", flush=True)
    save("decoding_bfloat16", "python benchmarks/decoding.py --bfloat16", figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", help="for internal use")
    parser.add_argument("--contestant", choices=[*CONTESTANTS, SHORT, HALF], help="for internal use")
    parser.add_argument("--all-cores", action="store_true", help="for internal use")
    parser.add_argument("--count", type=int, help="sentences; else 1,000 in batches of 64 and 200 one by one")
    parser.add_argument("--only", choices=WORK, action="append", help="not all the work")
    parser.add_argument("--latency", action="store_true", help="only what one sentence takes, and loading")
    parser.add_argument("--shortlist", action="store_true", help="only ours with a shortlist, beside CTranslate2")
    parser.add_argument("--bfloat16", action="store_true", help="only ours in bfloat16, beside ours in float32")
    options = parser.parse_args()
    if options.bfloat16:
        with_bfloat16()
        return
    if options.shortlist:
        with_shortlist(options.only)
        return
    if options.latency:
        save("latency", "python benchmarks/decoding.py --latency", latency())
        return
    if options.work:
        if not options.all_cores:
            one_core()
        contest(options.contestant, options.work, options.count)
        return
    figures = {}
    for work in options.only or COMPARED:
        _, batch, goal, _ = WORK[work]
        count = options.count or (1000 if batch > 1 else 200)
        row = {}
        for name in CONTESTANTS:
            if name == "products alone" and work != "greedy, batch 1":
                continue  # with more rows another library's may be faster
            slow = name == "KerasHub" and not options.count  # its rate is that of fewer sentences
            row[name] = measure(__file__, work, "--contestant", name, "--count", count // 5 if slow else count)
            print(f"{work:18} {name:14} {row[name]['sentences_per_cpu_s']:7.1f} sentences a CPU second", flush=True)
        ratio = row["ours"]["sentences_per_cpu_s"] / row["CTranslate2"]["sentences_per_cpu_s"]
        same = np.mean([a == b for a, b in zip(row["ours"].pop("texts"), row["CTranslate2"].pop("texts"), strict=True)])
        print(f"  {ratio:.2f} of CTranslate2 (goal {goal}); the same result for {same:.0%}")
        figures[work] = row | {"ratio": ratio, "goal": goal, "same_as_ctranslate2": same}
    if not options.only:
        figures["one sentence, 4 + 4 layers of 128"] = latency()
        save("decoding", "python benchmarks/decoding.py", figures)


if __name__ == "__main__":
    main()
