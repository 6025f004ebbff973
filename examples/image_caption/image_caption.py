"""Says what stands where in a drawn picture, and shows where it looked for each word.

Run it: `python examples/image_caption/image_caption.py`; `--help` lists the flags.
"""

import argparse
import functools
import pathlib

import keras
import numpy as np
from matplotlib import pyplot

from keras_attention import BahdanauCell, EncoderDecoder
from keras_attention.models import RecurrentDecoder
from keras_attention.training import ExactMatch, MaskedCrossentropy

SHAPES, SIZES, SIDE = ("circle", "square", "cross", "ring"), {"small": 3, "large": 5}, 32
WORDS = ("[PAD]", "[UNKNOWN]", "[START]", "[END]", "a", "left", "of", "above", *SIZES, *SHAPES)
ID = {word: id for id, word in enumerate(WORDS)}
LENGTH = 8  # a small ring left of a large cross, and the end; or one word less: above


def drawn(picture, shape, radius, row, column):
    """Draws a shape around a point."""
    down, right = abs(np.mgrid[:SIDE, :SIDE] - np.array([row, column])[:, None, None])
    distance, reach = np.hypot(down, right), np.maximum(down, right)
    where = {
        "circle": distance <= radius,
        "square": reach <= radius - 1,
        "cross": (reach <= radius) & (np.minimum(down, right) == 0),
        "ring": (distance <= radius) & (distance >= radius - 1.5),
    }
    picture[where[shape]] = 1.0


def scene(generator):
    """A picture of two shapes, and what is to be said of it."""
    picture = generator.uniform(0, 0.2, size=(SIDE, SIDE)).astype("float32")
    beside = generator.random() < 0.5
    caption = []
    for place in (generator.integers(6, 10), generator.integers(22, 26)):
        shape, size = generator.choice(SHAPES), generator.choice(list(SIZES))
        other = generator.integers(6, 26)
        drawn(picture, shape, SIZES[size], *((other, place) if beside else (place, other)))
        caption += ["a", size, shape]
    return picture[..., None], [*caption[:3], *(["left", "of"] if beside else ["above"]), *caption[3:]]


def describe(model, picture):
    """The words for a picture, the most probable one after another, and the weights of each over the grid."""
    memory, state = model.encode(picture[None])
    words, weights, last = [], [], ID["[START]"]
    while len(words) < LENGTH:
        logits, state, attended = model.decode(np.array([[last]]), memory, state)
        last = int(np.argmax(logits[0, 0]))
        if last == ID["[END]"]:
            break
        words.append(WORDS[last])
        weights.append(np.reshape(attended, (SIDE // 4, SIDE // 4)))
    return words, weights


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--count", type=int, default=8_000, help="pictures to draw; a tenth is held out")
    parser.add_argument("--epochs", type=int, default=16, help="passes over them")
    parser.add_argument("--output", type=pathlib.Path, default="runs/image_caption", help="folder to write to")
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    pictures, captions = zip(*(scene(generator) for _ in range(options.count)), strict=True)
    ids = [[ID[word] for word in ("[START]", *caption, "[END]")] for caption in captions]
    ids = keras.utils.pad_sequences(ids, padding="post", maxlen=LENGTH + 2)

    # Any network that gives a grid is an encoder; a decoder that begins with zeros knows what it reads from it alone.
    convolution = functools.partial(keras.layers.Conv2D, kernel_size=3, padding="same", activation="relu")
    encoder = keras.Sequential([keras.Input((SIDE, SIDE, 1)), convolution(16, strides=2), convolution(32, strides=2)])
    encoder.add(convolution(64))
    model = EncoderDecoder(encoder, RecurrentDecoder(len(WORDS), BahdanauCell(64), embedding_dim=16, bridge="zeros"))
    model.compile(keras.optimizers.Adam(3e-3), MaskedCrossentropy(), metrics=[ExactMatch()])
    how = {"batch_size": 64, "epochs": options.epochs, "validation_split": 0.1, "verbose": 2}
    history = model.fit({"source": np.stack(pictures), "target": ids[:, :-1]}, ids[:, 1:], **how).history
    print(f"{history['val_exact_match'][-1]:.1%} of the captions that were held out are right, word for word")

    words, weights = describe(model, pictures[-1])
    print(f"{' '.join(captions[-1])} -> {' '.join(words)}")
    figure, axes = pyplot.subplots(1, len(words) + 1, figsize=(14, 2), squeeze=False, layout="constrained")
    for axis, word, attended in zip(axes.flat, ["", *words], [np.zeros((8, 8)), *weights], strict=False):
        axis.imshow(pictures[-1], cmap="gray_r", extent=(0, SIDE, SIDE, 0))
        axis.set(title=word, xticks=[], yticks=[])
        axis.imshow(attended, cmap="Reds", alpha=0.6, extent=(0, SIDE, SIDE, 0), interpolation="bilinear")
    options.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output / "attention.png", dpi=120)


if __name__ == "__main__":
    main()
