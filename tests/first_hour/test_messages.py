"""What a user can do wrong in the first hour: each message names what was expected, what came, and the fix."""

import keras
import numpy as np
import pytest

from keras_attention import (
    AttentionPooling,
    AttentionRNN,
    BahdanauAttention,
    DateConverter,
    LuongAttention,
    LuongCell,
    MultiHeadAttention,
    cli,
    load,
    plot_attention,
)
from keras_attention.data import make_windows, read_pairs

X = np.ones((2, 3, 4), "float32")
# What is typed; what was expected, what came, and the fix, each as a part of the message.
COMMANDS = {
    "convert --model nowhere x": ("a saved task nor an export", "nowhere", "`keras-attention train` makes"),
    "convert --min-confidence 3 x": ("between 0 and 1", "received 3", "--min-confidence"),
    "convert --locale xx_XX 3/4/2021": ("CLDR has no locale", "'xx_XX'", "Give one such as"),
    "convert --day-first --month-first x": ("not allowed with", "--month-first", "--day-first"),
    "evaluate --model nowhere x.tsv": ("a saved task nor an export", "nowhere", "`keras-attention train` makes"),
    "export nowhere models": ("task.json", "nowhere", "`keras-attention train` wrote"),
    "plot": ("expected the string to convert", "Received none", "TEXT"),
    "plot --model nowhere": ("a saved task nor an export", "nowhere", "`keras-attention train` makes"),
    "serve --port 0": ("between 1 and 65535", "received 0", "--port"),
    "train dates --cell rnn": ("choose from 'gru', 'lstm'", "'rnn'", "--cell"),
    "train dates --units 0": ("at least 1", "received 0", "--units"),
    "train pairs nowhere.tsv": ("there is no file", "nowhere.tsv", "source, tab, target"),
    "train pairs commas.tsv": ("expected source and target", "Received 'one,1'", "name it .csv"),
    "train pairs empty.tsv": ("expected one on each line", "holds no pair", "Write source, tab, target"),
    "train pairs few.tsv": ("nothing on one side", "1 distinct targets", "Give more pairs"),
    "train pairs windows.tsv": ("not UTF-8", "'na\u00efve\\t1'", "--encoding cp1252"),
    "train translation --source windows.tsv": ("not UTF-8", "'na\u00efve\\t1'", "--encoding cp1252"),
    "train translation --source few.tsv --encoding klingon": ("must be one that Python knows", "klingon", "--encoding"),
    "evaluate windows.tsv": ("not UTF-8", "'na\u00efve\\t1'", "--encoding cp1252"),
    "train pairs few.tsv --encoding utf-16": ("one in which a line feed is one byte", "'utf-16'", "save the file"),
    "train pairs few.tsv --encoding klingon": ("must be one that Python knows", "klingon", "--encoding"),
    "translate x": ("required", "arguments", "--model"),
    "tran pairs few.tsv": ("choose from", "'tran'", "'train'"),
}
CALLS = {
    "a mask of numbers": (
        lambda: BahdanauAttention(4)(X, X, value_mask=np.ones((2, 3))),
        ("must be bool", "Received dtype float", "Write `mask != 0`"),
    ),
    "a mask of another tensor": (
        lambda: BahdanauAttention(4)(X, X, value_mask=np.ones((2, 5), bool)),
        ("value_mask must be", "Received shape (2, 5)", "belongs to another tensor"),
    ),
    "a dot product of different widths": (
        lambda: LuongAttention("dot")(X, np.ones((2, 3, 5))),
        ("must have one width", "(2, 3, 5)", "score='general'"),
    ),
    "an unknown score": (
        lambda: LuongAttention("cosine"),
        ("must be a Score", "Received 'cosine'", "'dot'"),
    ),
    "a last state instead of a sequence": (
        lambda: AttentionPooling(4)(keras.layers.LSTM(4)(X)),
        ("(batch, length, dim)", "Received shape (2, 4)", "return_sequences=True"),
    ),
    "no heads": (
        lambda: MultiHeadAttention(0, 4),
        ("must be a positive integer", "Received num_heads=0", "num_heads"),
    ),
    "a cell of Keras": (
        lambda: AttentionRNN(keras.layers.GRUCell(4)),
        ("must be a DecoderCell", "of type GRUCell", "BahdanauCell(64)"),
    ),
    "an unknown attention": (
        lambda: DateConverter(9, 9, attention="self"),
        ("must be one of", "Received 'self'", "'luong'"),
    ),
    "an unknown recurrent cell": (
        lambda: LuongCell(4, cell="rnn"),
        ("must be one of", "Received 'rnn'", "'lstm'"),
    ),
    "labels of another number": (
        lambda: plot_attention(np.ones((2, 3)), source=["a"], target=["b", "c"]),
        ("3 of the source", "Received 2 and 1", "Padding can be cut off"),
    ),
    "weights of a whole batch": (
        lambda: plot_attention(np.ones((2, 4, 2, 3))),
        ("(heads, target, source)", "Received shape (2, 4, 2, 3)", "give one row"),
    ),
    "a number instead of a string": (lambda: load()(3), ("expected strings", "Received 3 of type int", "str(...)")),
    "a folder without a model": (
        lambda: load("nowhere"),
        ("a saved task nor an export", "nowhere", "makes the first"),
    ),
    "a series that is too short": (
        lambda: make_windows(np.arange(5.0), past=12, horizon=3),
        ("15", "5", "past"),
    ),
    "a file that is not there": (
        lambda: read_pairs("nowhere.tsv"),
        ("there is no file", "nowhere.tsv", "Give the path"),
    ),
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "commas.tsv").write_text("one,1\n")
    (tmp_path / "empty.tsv").write_text("\n")
    (tmp_path / "few.tsv").write_text("one\t1\nuno\t1\n")
    (tmp_path / "windows.tsv").write_bytes("naïve\t1\n".encode("cp1252"))


@pytest.mark.parametrize("command", COMMANDS)
def test_message_of_a_command_helps(command, files, capsys):
    try:
        status = cli.main(command.split())
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr().err
    assert status in (1, 2)
    assert "Traceback" not in said
    assert [part for part in COMMANDS[command] if part not in said] == [], said


@pytest.mark.parametrize("mistake", CALLS)
def test_message_of_a_call_helps(mistake):
    call, parts = CALLS[mistake]
    with pytest.raises((TypeError, ValueError, OSError)) as error:
        call()
    assert [part for part in parts if part not in str(error.value)] == [], str(error.value)
