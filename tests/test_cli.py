"""The command line, as a user types it."""

import gc
import importlib
import io
import os
import re
import shlex
import subprocess
import sys

import pytest

import keras_attention
from keras_attention import Sample, cli
from keras_attention.cli import commands, startup
from keras_attention.cli.common import strategy_of
from keras_attention.conversion import Conversion
from keras_attention.data import generate_dates, write_pairs
from keras_attention.export import saved_model

from .conftest import FORMATS


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "keras_attention", *map(str, arguments)], capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "dates"
    with pytest.MonkeyPatch.context() as patch:  # no fresh process looks at it
        patch.setattr(saved_model, "_check", lambda *arguments: None)
        assert cli.main(["export", str(trained), str(folder), "--beam", "2", "--n-best", "2"]) == 0
    return folder


@pytest.mark.parametrize("arguments", [["--help"], ["train", "dates", "--help"], ["convert", "--nonsense"], []])
def test_help_and_wrong_arguments_answer_before_tensorflow_is_imported(arguments):
    code = f"""
import sys
from keras_attention.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    assert "tensorflow" not in sys.modules and "keras" not in sys.modules
    sys.exit(end.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == (0 if "--help" in arguments else 2)


COMMANDS = (
    "train dates", "train world-dates", "train pairs", "train translation", "train questions", "train recommendations",
    "vocabulary", "convert", "translate", "import", "shortlist", "score", "evaluate", "plot", "export", "serve",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_has_a_line_of_help_and_every_command_an_example(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--help"])
    text = capsys.readouterr().out
    assert not re.search(r"^  --?\S+( \S+)?\n  -", text, re.MULTILINE)
    (example,) = re.findall(r"^examples?:\n  (.*)$", text, re.MULTILINE)[:1]
    words = shlex.split(example.partition(" < ")[0])
    assert words[: 1 + len(command.split())] == ["keras-attention", *command.split()]
    commands.build_parser().parse_args(words[1:])  # it is one


READERS = (
    "train pairs pairs --validation pairs",
    "train translation --source pairs",
    "train translation --source pairs --target pairs --validation-source pairs --validation-target pairs",
    "train questions pairs",
    "train recommendations pairs",
    "vocabulary pairs pairs",
    "convert --model any",
    "translate --model any",
    "translate --model any pairs",
    "evaluate --model any pairs pairs",
    "score --model any pairs pairs",
    "shortlist --model any pairs pairs --output any",
)


@pytest.mark.parametrize("command", READERS)
def test_every_command_that_reads_text_reads_all_of_it_in_the_encoding_that_is_named(
    command, shouting, tmp_path, monkeypatch, capsys
):
    read = []

    def lines_as_they_come(stream, name, errors="strict", encoding="utf-8"):
        read.append(encoding)
        if len(read) == max(1, command.split().count("pairs") - command.startswith("train pairs")):
            raise ValueError("enough")
        yield ["a\tb", "c\td"]

    (tmp_path / "pairs").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_attention.data.pairs.lines_as_they_come", lines_as_they_come)
    monkeypatch.setattr("keras_attention.tasks.TextToText.load", lambda *arguments: shouting)
    monkeypatch.setattr(sys, "stdin", Input([]))
    assert cli.main([*command.split(), "--encoding", "cp1252"]) == 1
    assert capsys.readouterr().err == "keras-attention: enough\n"
    assert set(read) == {"cp1252"}


def test_a_wrong_flag_shows_the_usage_of_its_own_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "pairs", "file.tsv", "--nonsense"])
    text = capsys.readouterr().err
    assert text.startswith("usage: keras-attention train pairs")
    assert "unrecognized arguments: --nonsense" in text


def test_an_interrupt_ends_in_one_line(tmp_path, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_attention.recipes.train_converter", interrupted)
    (tmp_path / "pairs.tsv").write_text("a\tb\nc\td\ne\tf\n")
    assert cli.main(["train", "pairs", str(tmp_path / "pairs.tsv"), "--held-out", "0.3"]) == 130
    message = "keras-attention: interrupted; the same command goes on from the last round that was saved"
    assert capsys.readouterr().err.split("\n")[-2] == message


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"keras-attention {keras_attention.__version__}\n"


def test_strings_are_converted_in_a_fresh_process_with_nothing_on_standard_error(exported):
    done = run("convert", "--model", exported, "3 May 1979", "1 June 2001")
    assert done.stdout.decode().split("\n") == ["1979-05-03", "2001-06-01", ""]
    assert done.stderr == b""


def test_standard_input_is_converted_line_by_line(exported, capsys, monkeypatch):
    given = io.BytesIO(b"3 May 1979\r\n\n\xff\xfe\n1 June 2001")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(given)))
    assert cli.main(["convert", "--model", str(exported), "--log-prob"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert len(lines) == 5
    assert re.fullmatch(r"-\d+\.\d{4}\t1979-05-03", lines[0])
    assert lines[3].endswith("\t2001-06-01")


class Shouting:
    """A converter that gives the text in capitals, and notes how many it was given at once."""

    def __init__(self):
        self.batches = []

    def __call__(self, texts, batch_size=None, prefix=None):
        if isinstance(texts, bytes | str):
            return self([texts])[0]
        texts = [text.decode() if isinstance(text, bytes) else text for text in texts]
        self.batches.append(len(texts))
        return [Conversion(text.upper(), -0.5, [], [], None, [(text.upper(), -0.5)]) for text in texts]


@pytest.fixture
def shouting(monkeypatch):
    converter = Shouting()
    monkeypatch.setattr("keras_attention.tasks.load", lambda *arguments: converter)
    return converter


class Input:
    """Standard input that comes in pieces; before each `arrived` is called."""

    def __init__(self, pieces, arrived=lambda: None):
        self.buffer, self.pieces, self.arrived = self, list(pieces), arrived

    def read1(self, size):
        self.arrived()
        return self.pieces.pop(0) if self.pieces else b""


@pytest.mark.parametrize("command", ["convert", "translate"])
def test_output_is_utf_8_whatever_the_terminal_and_one_line_for_one(command, shouting, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stdin", Input([b"\xef\xbb\xbf\xc3", b"\xa9\r\na\rb\n\nno end"]))
    assert cli.main([command, "--model", "any"]) == 0
    assert out.buffer.getvalue().decode("utf-8").split("\n") == ["É", "A B", "", "NO END", ""]


@pytest.mark.parametrize("command", ["convert", "translate --unsorted"])
def test_reader_that_has_seen_enough_ends_it_without_a_word(command, shouting, monkeypatch, capfd):
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(sys, "stdout", open(writing, "w"))  # noqa: SIM115
    monkeypatch.setattr(sys, "stdin", Input([b"a\n" * 100_000]))
    assert cli.main([*command.split(), "--model", "any"]) == 128 + 13
    sys.stdout.close()
    assert capfd.readouterr().err == ""


def test_unsorted_lines_are_translated_as_they_come(shouting, monkeypatch, capsys):
    written = []
    monkeypatch.setattr(
        sys, "stdin", Input([b"a\nb\nc\n", b"d", b"\n"], lambda: written.append(capsys.readouterr().out))
    )
    assert cli.main(["translate", "--model", "any", "--unsorted", "--batch-size", "2"]) == 0
    assert written == ["", "A\nB\nC\n", "", "D\n"]
    assert shouting.batches == [2, 1, 1]


def test_n_best_gives_as_many_lines_as_were_asked_for(shouting, monkeypatch, capsys):
    for more, expected in (([], "A\n\nB\n\n"), (["--log-prob"], "-0.5000\tA\n-inf\t\n-0.5000\tB\n-inf\t\n")):
        monkeypatch.setattr(sys, "stdin", Input([b"a\nb\n"]))
        assert cli.main(["translate", "--model", "any", "--n-best", "2", *more]) == 0
        assert capsys.readouterr().out == expected


def test_nothing_to_translate_gives_nothing(shouting, monkeypatch, tmp_path, capsys):
    (tmp_path / "in").touch()
    for more in ([], ["--unsorted"], ["--output", str(tmp_path / "out")]):
        assert cli.main(["translate", "--model", "any", str(tmp_path / "in"), *more]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "out").read_text() == ""


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(["--sample", "--seed", "3", "--top-k", "2"], Sample(top_k=2, seed=3)), (["--sample"], Sample()), ([], None)],
)
def test_seed_is_that_of_the_draws(flags, expected):
    assert strategy_of(cli.build_parser().parse_args(["translate", "--model", "any", *flags])) == expected
    with pytest.raises(ValueError, match="--seed need --sample"):
        strategy_of(cli.build_parser().parse_args(["translate", "--model", "any", "--seed", "3"]))


def test_evaluation_names_the_mistakes(trained, tmp_path, capsys):
    write_pairs([*generate_dates(30, seed=9, formats=FORMATS), ("3 May 1979", "wrong")], tmp_path / "pairs.tsv")
    assert cli.main(["evaluate", "--model", str(trained), str(tmp_path / "pairs.tsv")]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"exact match \d\d\.\d\d% of 31 pairs", printed)
    assert "'3 May 1979': expected 'wrong', received '1979-05-03'" in printed


def test_plot_is_written(exported, tmp_path, capsys):
    output = tmp_path / "plot.png"
    assert cli.main(["plot", "--model", str(exported), "3 May 1979", "--output", str(output)]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    assert "3 May 1979 -> 1979-05-03" in capsys.readouterr().out


def test_page_of_attention_is_written(trained, exported, tmp_path, capsys):
    for number, model in enumerate((trained, exported)):
        output = tmp_path / f"{number}.html"
        assert cli.main(["plot", "--model", str(model), "3 May 1979", "--html", str(output)]) == 0
        assert '"target": ["1", "9", "7", "9", "-", "0", "5", "-", "0", "3"]' in output.read_text(encoding="utf-8")
    assert "1.html: 3 May 1979 -> 1979-05-03" in capsys.readouterr().out


def test_pairs_of_ones_own_are_learned_and_converted(tmp_path, capsys, eagerly):
    write_pairs([(f"{a}+{b}", str(a + b)) for a in range(12) for b in range(12)], tmp_path / "sums.tsv")
    folder = tmp_path / "run"
    arguments = ["--epochs", "1", "--units", "8", "--run", str(folder), "--attention", "bahdanau", "--cell", "lstm"]
    assert cli.main(["train", "pairs", str(tmp_path / "sums.tsv"), "--held-out", "0.2", *arguments]) == 0
    assert "val_exact_match" in capsys.readouterr().out
    assert cli.main(["convert", "--model", str(folder), "3+4"]) == 0


def test_generated_dates_leave_their_held_out_pairs(tmp_path, capsys, eagerly):
    arguments = ["--count", "100", "--epochs", "1", "--units", "8", "--attention", "none", "--locales", "en_US,de"]
    assert cli.main(["train", "dates", *arguments, "--run", str(tmp_path)]) == 0
    assert (tmp_path / "held_out.tsv").is_file()
    assert "Learning from" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "--model", "nowhere", "x"], "nowhere holds neither a saved task nor an export"),
        (["evaluate", "--model", "{trained}", "nowhere.tsv"], "there is no file nowhere.tsv"),
        (["train", "pairs", "nowhere.tsv"], "there is no file nowhere.tsv"),
        (["train", "dates", "--locales", "xx_XX"], "CLDR has no locale 'xx_XX'"),
        (["export", "nowhere", "{folder}"], "nowhere holds no task.json"),
        (
            ["export", "{trained}", "{folder}", "--beam", "2", "--n-best", "3"],
            "n_best must lie between 1 and the width",
        ),
        (["plot", "--model", "{trained}", ""], "source and result must hold at least one token"),
    ],
)
def test_failure_is_one_line_and_status_1(arguments, message, trained, tmp_path, capsys):
    filled = [argument.format(trained=trained, folder=tmp_path) for argument in arguments]
    assert cli.main(filled) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


def test_import_in_haste_leaves_nothing_behind(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    with startup._in_haste():
        assert not gc.isenabled()
        with pytest.raises(ImportError):
            importlib.import_module("matplotlib")
    assert gc.isenabled()
    assert "matplotlib" not in sys.modules


def test_recommendations_from_a_file_to_an_export(tmp_path, monkeypatch, capsys, eagerly, unchecked):
    shop = ["tea", "milk", "jam", "bread", "sugar"]
    lines = [f"user{row}\t{shop[(row + step) % 5]}\n" for row in range(12) for step in range(4)]
    (tmp_path / "choices.tsv").write_text("".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    flags = ["--units", "4", "--epochs", "1", "--run", "run"]
    assert cli.main(["train", "recommendations", "choices.tsv", *flags]) == 0
    assert re.search(r"Of 12 last items [\d.]+% are among the first ten", capsys.readouterr().out)
    assert cli.main(["evaluate", "--model", "run", "choices.tsv"]) == 0
    assert "NDCG@10" in capsys.readouterr().out
    assert cli.main(["export", "run", "model"]) == 0
    assert len(keras_attention.load("model")(["tea", "milk"]).items) == 3
    assert cli.main(["evaluate", "--model", "model", "choices.tsv"]) == 1
    assert "is an export, which gives its best items alone" in capsys.readouterr().err
    (tmp_path / "few.tsv").write_text("ada\ttea\n", encoding="utf-8")
    assert cli.main(["train", "recommendations", "few.tsv", *flags]) == 1
    assert "has no user of three items" in capsys.readouterr().err
