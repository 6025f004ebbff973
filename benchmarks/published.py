"""A published translator of OPUS-MT's size, imported and exported, beside CTranslate2: one sentence, load, memory.

`python benchmarks/published.py` (needs `pip install ctranslate2 transformers torch`). A Marian of 6 + 6 layers of 512
with a vocabulary of 58,101 and random weights, in the folder that transformers writes, of which the end is never the
best, so that every sentence takes 20 tokens; pieces and sentences are Multi30k's (`../shared/data`). Ours is
`TextToText.from_pretrained`, exported, from strings to strings, with the full vocabulary and with a shortlist of the
size that attention gives; CTranslate2's is converted from the same folder by its own converter and goes from pieces to
pieces. One core each, in a process of its own.
"""

import argparse
import io
import json
import pathlib
import statistics
import tempfile
import time

import decoding
import numpy as np
from harness import measure, one_core, report, save

VOCABULARY, STEPS, PIECES = 58_101, 20, 10_000
GOALS = {"ours": 1.5, "ours, shortlist": 0.8}
LIMITS = {"load_s": 2.0, "first_s": 1.5, "memory_of_weights": 2.0}


def checkpoint(folder):
    """Writes a Marian with random weights, as transformers does."""
    import sentencepiece
    import torch
    import transformers

    model = io.BytesIO()
    lines = decoding.lines("train.lc.norm.tok.en.gz") + decoding.lines("train.lc.norm.tok.de.gz")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=PIECES, minloglevel=2
    )
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(model.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    tokens = ["</s>", "<unk>", *(pieces.id_to_piece(index) for index in range(3, PIECES))]
    tokens += [f"▁more{index}" for index in range(VOCABULARY - 1 - len(tokens))] + ["<pad>"]
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"separate_vocabs": False}))
    torch.manual_seed(0)
    pad = VOCABULARY - 1
    sizes = {"layers": 6, "ffn_dim": 2048, "attention_heads": 8}
    config = transformers.MarianConfig(
        **{f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in sizes.items()},
        d_model=512,
        vocab_size=VOCABULARY,
        activation_function="swish",
        scale_embedding=True,
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=0,
        forced_eos_token_id=None,
    )
    made = transformers.MarianMTModel(config)
    made.final_logits_bias[0, 0] = -1e4  # the end
    made.generation_config = transformers.GenerationConfig(
        num_beams=1, max_length=STEPS + 1, pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=0
    )
    made.save_pretrained(folder)


def ours(texts, folder, short=False):
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers the ops

    version = folder / ("short" if short else "whole")
    (version,) = version.iterdir()
    before, begin = memory(), time.perf_counter()
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    load_s = time.perf_counter() - begin

    def run(text):
        return signature(text=tf.constant([text]))["text"].numpy()[0]

    begin = time.perf_counter()
    run(texts[0])
    first_s = time.perf_counter() - begin
    weights = sum(file.stat().st_size for file in version.rglob("variables.data*"))
    return run, {"load_s": load_s, "first_s": first_s, "memory_of_weights": (memory() - before) / weights}


def ctranslate2(texts, folder):
    import ctranslate2
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "marian" / "source.spm"))
    before, begin = memory(), time.perf_counter()
    engine = ctranslate2.Translator(
        str(folder / "ct2"), device="cpu", compute_type="float32", intra_threads=1, inter_threads=1
    )
    load_s = time.perf_counter() - begin

    def run(text):
        source = [*pieces.encode(text, out_type=str), "</s>"]
        (found,) = engine.translate_batch([source], beam_size=1, max_decoding_length=STEPS, min_decoding_length=STEPS)
        return pieces.decode(found.hypotheses[0])

    begin = time.perf_counter()
    run(texts[0])
    figures = {"load_s": load_s, "first_s": time.perf_counter() - begin}
    weights = (folder / "ct2" / "model.bin").stat().st_size
    return run, figures | {"memory_of_weights": (memory() - before) / weights}


def memory():
    """Bytes of this process in memory."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def prepare(folder):
    """The checkpoint, our exports of it, and CTranslate2's conversion."""
    import ctranslate2

    from keras_attention import TextToText

    marian = folder / "marian"
    marian.mkdir()
    checkpoint(marian)
    ctranslate2.converters.TransformersConverter(str(marian)).convert(str(folder / "ct2"))
    task = TextToText.from_pretrained(marian)
    task.export(folder / "whole")
    task.with_shortlist(decoding.shortlist(task.source_tokenizer)).export(folder / "short")


def contest(name, folder, count):
    texts = decoding.lines("test_2016_flickr.lc.norm.tok.en.gz")[:count]
    run, figures = {
        "ours": lambda: ours(texts, folder),
        "ours, shortlist": lambda: ours(texts, folder, short=True),
        "CTranslate2": lambda: ctranslate2(texts, folder),
    }[name]()
    run(texts[0])
    taken = []
    for text in texts:
        begin = time.process_time()
        run(text)
        taken.append(1000 * (time.process_time() - begin))
    report(median_ms=statistics.median(taken), **figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", help="for internal use")
    parser.add_argument("--folder", type=pathlib.Path, help="for internal use")
    parser.add_argument("--contestant", help="for internal use")
    parser.add_argument("--count", type=int, default=30, help="sentences")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.work == "prepare":
        prepare(options.folder)
        report()
        return
    if options.work:
        one_core()
        contest(options.contestant, options.folder, options.count)
        return
    figures = {name: [] for name in (*GOALS, "CTranslate2")}
    with tempfile.TemporaryDirectory() as folder:
        measure(__file__, "prepare", "--folder", folder)
        for _ in range(options.rounds):
            for name, rows in figures.items():
                given = ("--folder", folder, "--contestant", name, "--count", options.count)
                rows.append(measure(__file__, "one sentence", *given))
                print(name, {key: round(value, 2) for key, value in rows[-1].items()}, flush=True)
    ratios = {}
    for name, goal in GOALS.items():
        both = zip(figures[name], figures["CTranslate2"], strict=True)
        ratios[name] = sorted(one["median_ms"] / other["median_ms"] for one, other in both)
        print(f"{name}: {np.median(ratios[name]):.2f} of CTranslate2's time, at worst {ratios[name][-1]:.2f} ({goal})")
        for key, limit in LIMITS.items():
            print(f"  {key} at worst {max(row[key] for row in figures[name]):.2f} ({limit})")
    save("published", "python benchmarks/published.py", figures | {"of_ctranslate2": ratios})


if __name__ == "__main__":
    main()
