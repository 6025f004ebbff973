"""Training speed of a Transformer beside stock Keras layers and KerasHub's: target tokens a second on one core.

`python benchmarks/training.py` (needs `pip install keras-hub`). 4 + 4 layers, 8 heads, feed-forward four times the
width, dropout 0.1, a vocabulary of 10,000, three embedding matrices, Adam; batches of 128 pairs of 16 tokens. Stock
Keras is the model of TensorFlow's Transformer tutorial. Compiled and fitted alike; the first steps, which trace, do not
count.
"""

import argparse
import time

import numpy as np
from harness import measure, one_core, report, save

LAYERS, HEADS, VOCABULARY, BATCH, LENGTH, DROPOUT = 4, 8, 10_000, 128, 16, 0.1
WIDTHS, GOAL, STEPS, ROUNDS = (128, 256), 1.1, 8, 3


def ours(width):
    from keras_attention import TransformerTranslator

    return TransformerTranslator(
        VOCABULARY, VOCABULARY, layers=LAYERS, units=width, num_heads=HEADS, feed_forward_units=4 * width, norm="post",
        tied=None, dropout=DROPOUT,
    )  # fmt: skip


def stock_keras(width):
    """The tutorial's model: MultiHeadAttention, Add, LayerNormalization, Dense; the padding as Keras' masks."""
    import keras
    from keras import layers

    from keras_attention.layers.positions import sinusoid

    positions = sinusoid(np.arange(LENGTH), width, "concatenated").numpy()
    source, target = (
        keras.Input([None], dtype="int32", name="source"),
        keras.Input([None], dtype="int32", name="target"),
    )

    def embed(ids):
        embedded = layers.Embedding(VOCABULARY, width, mask_zero=True)(ids)
        return layers.Dropout(DROPOUT)(embedded * width**0.5 + positions)

    def attend(query, value, **more):
        attention = layers.MultiHeadAttention(HEADS, width // HEADS, dropout=DROPOUT)
        return layers.LayerNormalization()(layers.Add()([query, attention(query, value, **more)]))

    def feed_forward(inputs):
        hidden = layers.Dense(width)(layers.Dense(4 * width, activation="relu")(inputs))
        return layers.LayerNormalization()(layers.Add()([inputs, layers.Dropout(DROPOUT)(hidden)]))

    memory, outputs = embed(source), embed(target)
    for _ in range(LAYERS):
        memory = feed_forward(attend(memory, memory))
    for _ in range(LAYERS):
        outputs = feed_forward(attend(attend(outputs, outputs, use_causal_mask=True), memory))
    return keras.Model({"source": source, "target": target}, layers.Dense(VOCABULARY)(outputs))


def keras_hub(width):
    import keras
    import keras_hub as hub

    source, target = (
        keras.Input([None], dtype="int32", name="source"),
        keras.Input([None], dtype="int32", name="target"),
    )

    def embed(ids):
        embedded = hub.layers.TokenAndPositionEmbedding(VOCABULARY, LENGTH, width, mask_zero=True)(ids)
        return keras.layers.Dropout(DROPOUT)(embedded)

    memory, outputs = embed(source), embed(target)
    for _ in range(LAYERS):
        memory = hub.layers.TransformerEncoder(4 * width, HEADS, dropout=DROPOUT)(memory)
    for _ in range(LAYERS):
        outputs = hub.layers.TransformerDecoder(4 * width, HEADS, dropout=DROPOUT)(outputs, memory)
    return keras.Model({"source": source, "target": target}, keras.layers.Dense(VOCABULARY)(outputs))


CONTESTANTS = {"ours": ours, "stock Keras": stock_keras, "KerasHub": keras_hub}


def contest(name, width):
    import keras
    import tensorflow as tf

    from keras_attention.training import MaskedCrossentropy

    def masked_loss(labels, logits):
        losses = keras.ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        live = keras.ops.cast(labels != 0, losses.dtype)
        return keras.ops.sum(losses * live) / keras.ops.sum(live)

    generator = np.random.default_rng(0)
    ids = generator.integers(4, VOCABULARY, size=(BATCH, LENGTH)).astype("int32")
    model = CONTESTANTS[name](width)
    model.compile(keras.optimizers.Adam(1e-4), MaskedCrossentropy() if name == "ours" else masked_loss)
    data = tf.data.Dataset.from_tensors(({"source": ids, "target": ids}, ids)).repeat()
    begin = time.perf_counter()
    model.fit(data, steps_per_epoch=2, verbose=0)
    first = time.perf_counter() - begin
    seconds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        model.fit(data, steps_per_epoch=STEPS, verbose=0)
        seconds.append(time.process_time() - before)
    report(
        tokens_per_cpu_s=STEPS * BATCH * LENGTH / min(seconds), first_two_steps_s=first, weights=model.count_params()
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", help="for internal use")
    parser.add_argument("--contestant", choices=CONTESTANTS, help="for internal use")
    options = parser.parse_args()
    if options.work:
        one_core()
        contest(options.contestant, int(options.work))
        return
    figures = {}
    for width in WIDTHS:
        row = {name: measure(__file__, width, "--contestant", name) for name in CONTESTANTS}
        for name, figure in row.items():
            print(f"width {width} {name:12} {figure['tokens_per_cpu_s']:8.0f} target tokens a CPU second", flush=True)
        best = max(row[name]["tokens_per_cpu_s"] for name in CONTESTANTS if name != "ours")
        ratio = row["ours"]["tokens_per_cpu_s"] / best
        print(f"  {ratio:.2f} of the faster peer (goal {GOAL})")
        figures[f"width {width}"] = row | {"ratio": ratio, "goal": GOAL}
    save("training", "python benchmarks/training.py", figures)


if __name__ == "__main__":
    main()
