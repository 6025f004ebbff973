"""The first hour of three new users, with the commands of the README: a layer, own pairs, a server.

Each needs five commands at most, and no flag that the README does not name.
"""

import json
import pathlib
import re
import urllib.request

import pytest

from keras_attention import TextToText
from tests.serving.conftest import wait_until

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROMAN = {1000: "M", 900: "CM", 500: "D", 400: "CD", 100: "C", 90: "XC", 50: "L", 40: "XL", 10: "X", 9: "IX", 5: "V",
         4: "IV", 1: "I"}  # fmt: skip

OWN_LAYER = """
import keras
import numpy as np
from keras_attention import AttentionPooling, plot_attention
from keras_attention.layers import GRU

keras.utils.set_random_seed(0)
ids = np.random.default_rng(0).integers(1, 20, size=(512, 8))
labels = (ids == 7).any(axis=1).astype("int32")  # is there a 7?

tokens = keras.Input((None,), dtype="int32")
embedded = keras.layers.Embedding(20, 16, mask_zero=True)(tokens)
context, weights = AttentionPooling(16)(embedded, return_attention_scores=True)
model = keras.Model(tokens, keras.layers.Dense(1, "sigmoid")(context))
model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy"])
history = model.fit(ids, labels, epochs=12, verbose=0).history
print("accuracy", history["accuracy"][-1])

explain = keras.Model(tokens, weights)
sentence = np.array([[3, 4, 7, 5]])
read = np.array(explain(sentence))
print("read most", sentence[0, read[0].argmax()])
plot_attention(read, source=list("3475"), target=["class"]).savefig("attention.png")
"""


def roman(number):
    text = ""
    for value, letters in ROMAN.items():
        text += letters * (number // value)
        number %= value
    return text


def check(terminal):
    """Five commands at most, whose flags the README names."""
    assert len(terminal.commands) <= 5
    flags = set(re.findall(r"--[a-z-]+", " ".join(terminal.commands)))
    assert flags <= set(re.findall(r"--[a-z-]+", README))


def ask(address, text):
    """What `curl` would send, and what it would show."""
    content = json.dumps({"instances": [text]}).encode()
    with urllib.request.urlopen(f"{address}/v1/models/mine:predict", content, timeout=600) as answer:
        return json.load(answer)["predictions"][0]


def test_layer_in_a_model_of_ones_own_is_trained_and_plotted(terminal):
    (terminal.folder / "own_layer.py").write_text(OWN_LAYER, encoding="utf-8")
    printed = terminal.run("python own_layer.py")
    assert float(re.search(r"accuracy ([\d.]+)", printed)[1]) > 0.99
    assert "read most 7" in printed
    assert (terminal.folder / "attention.png").read_bytes().startswith(b"\x89PNG")
    check(terminal)


@pytest.mark.thorough
def test_three_thousand_roman_numerals_are_learned_with_default_flags_and_served(terminal):
    numbers = [number for number in range(1, 4000) if number % 4]  # those that can be divided by four are not seen
    lines = (f"{number}\t{roman(number)}\n" for number in numbers)
    (terminal.folder / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
    printed = terminal.run("keras-attention train pairs pairs.tsv --run runs/mine")
    assert "Saved in runs/mine" in printed
    terminal.run("keras-attention export runs/mine saved_models/mine")
    with terminal.serving("keras-attention serve saved_models") as address:
        answers = [ask(address, str(number))["text"] == roman(number) for number in range(4, 4000, 40)]
    assert sum(answers) >= 0.99 * len(answers)
    check(terminal)


def test_few_roman_numerals_go_the_same_way(terminal):
    lines = (f"{number}\t{roman(number)}\n" for number in range(1, 120))
    (terminal.folder / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
    printed = terminal.run("keras-attention train pairs pairs.tsv --run runs/mine --epochs 3")
    assert "Saved in runs/mine. `keras-attention export runs/mine MODEL` makes a SavedModel of it." in printed
    terminal.run("keras-attention export runs/mine saved_models/mine")
    printed = terminal.run('keras-attention plot --model saved_models/mine "14" --html attention.html')
    assert "attention.html: 14 -> " in printed
    assert (terminal.folder / "saved_models/mine/1/saved_model.pb").is_file()


def test_saved_model_becomes_a_page_and_an_answer_to_curl(terminal, trained, unchecked):
    TextToText.load(trained).export(terminal.folder / "saved_models/mine")
    with terminal.serving("keras-attention serve saved_models") as address:
        answer = ask(address, "3 May 1979")
        assert answer["text"] == "1979-05-03"
        assert len(answer["weights"]) == 10
        wait_until(lambda: b"gradio" in urllib.request.urlopen(f"{address}/", timeout=600).read())
    check(terminal)
