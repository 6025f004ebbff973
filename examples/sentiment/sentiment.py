"""Learns the sentiment of generated sentences and draws the words that it was read from.

Run it: `python examples/sentiment/sentiment.py`; `--help` lists the flags.
"""

import argparse
import pathlib
import random

import keras
import numpy as np
from matplotlib import pyplot

from keras_attention import AttentionPooling, padding_mask
from keras_attention.layers import LSTM, Bidirectional

SENTIMENTS = ("negative", "neutral", "positive")
OPINIONS = (
    ["bad", "awful", "slow", "rude", "cold", "boring", "noisy", "terrible"],
    ["red", "small", "new", "old", "local", "empty", "far", "Italian"],
    ["good", "great", "lovely", "delicious", "friendly", "quick", "charming", "excellent"],
)
SUBJECTS = ["food", "staff", "room", "view", "music", "film", "story", "soup", "garden", "place"]
FILLERS = ["yesterday", "honestly", "again", "really", "today", "there", "indeed", "somehow"]
EXAMPLES = (
    "honestly the food was delicious today",
    "the staff we met there was really not friendly",
    "yesterday the film was not boring",
    "the station is not far and the room was new",
    "the place is by the station and the soup was awful",
)


def sentence(generator):
    """A text with one opinion, which "not" turns round, and the index of its sentiment."""
    sentiment, negated = generator.randrange(3), generator.random() < 0.4
    opinion = generator.choice(OPINIONS[sentiment])
    said = ["the", generator.choice(SUBJECTS), "was", *["not"] * negated, opinion]
    before = generator.choice(["", "we came by the station and", "it was not far to walk but", "honestly"]).split()
    after = generator.choice(["", "and we left at nine", "and the station is not far"]).split()
    fillers = [generator.choice(FILLERS) for _ in range(generator.randrange(3))]
    return " ".join([*before, *said, *fillers, *after]), 2 - sentiment if negated else sentiment


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--count", type=int, default=4_000, help="sentences to generate; a tenth is held out")
    parser.add_argument("--epochs", type=int, default=6, help="passes over them")
    parser.add_argument("--encoder", choices=("pairs", "lstm"), default="pairs", help="what the pooling reads")
    parser.add_argument("--output", type=pathlib.Path, default="runs/sentiment", help="folder to write to")
    options = parser.parse_args()

    # Words to ids. Id 0 is padding, behind the shorter sentences.
    keras.utils.set_random_seed(1)
    texts, labels = zip(*map(sentence, [random.Random(0)] * options.count), strict=True)
    words = sorted({word for text in (*texts, *EXAMPLES) for word in text.split()})
    id_of = {word: id for id, word in enumerate(words, start=1)}

    def ids_of(texts):
        return keras.utils.pad_sequences([[id_of[word] for word in text.split()] for text in texts], padding="post")

    # "pairs" reads each word with the one before it, so that a weight belongs to a word; each state of an LSTM holds
    # the rest of the sentence too. The mask is given, since Keras' convolutions do not pass it on.
    inputs = keras.Input((None,), dtype="int32")
    mask = padding_mask(inputs)
    encoded = keras.layers.Embedding(len(words) + 1, 32)(inputs)
    if options.encoder == "lstm":
        encoded = Bidirectional(LSTM(32, return_sequences=True))(encoded, mask=mask)
    else:
        encoded = keras.layers.Conv1D(32, kernel_size=2, padding="causal", activation="relu")(encoded)
    context, weights = AttentionPooling(32, dropout=0.3)(encoded, mask=mask, return_attention_scores=True)
    classifier = keras.Model(inputs, keras.layers.Dense(3, "softmax")(context))
    reader = keras.Model(inputs, weights)

    ids, labels, held_out = ids_of(texts), np.array(labels), max(1, options.count // 10)
    classifier.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    classifier.fit(ids[held_out:], labels[held_out:], batch_size=64, epochs=options.epochs, verbose=2)
    accuracy = classifier.evaluate(ids[:held_out], labels[:held_out], batch_size=512, verbose=0)[1]
    print(f"accuracy on {held_out} sentences that were held out: {accuracy:.1%}")

    # The words with the largest weights, and a picture in which a word is the darker the larger its weight.
    examples = ids_of(EXAMPLES)
    found, weights = classifier.predict(examples, verbose=0).argmax(-1), reader.predict(examples, verbose=0)
    figure, axes = pyplot.subplots(figsize=(10, 2.5), layout="constrained")
    axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    axes.set(xticks=[], yticks=range(len(EXAMPLES)), yticklabels=[SENTIMENTS[sentiment] for sentiment in found])
    for row, text in enumerate(EXAMPLES):
        weighted = list(zip(text.split(), weights[row], strict=False))  # without the padding
        for column, (word, weight) in enumerate(weighted):
            axes.text(column, row, word, ha="center", va="center", color="white" if weight > 0.5 else "black")
        attended = sorted(weighted, key=lambda pair: -pair[1])[:2]
        print(f"{SENTIMENTS[found[row]]:10}{text:55}" + ", ".join(f"{word} {weight:.2f}" for word, weight in attended))
    options.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output / "attention.png", dpi=150)
    print(f"Attention: {options.output / 'attention.png'}")


if __name__ == "__main__":
    main()
