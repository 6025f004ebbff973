"""The command line, as a user types it."""

import gc
import importlib
import re
import subprocess
import sys

import pytest

from keras_attention import cli
from keras_attention.cli import commands
from keras_attention.data import generate_dates, write_pairs

from .conftest import FORMATS


def run(*arguments, stdin=None):
    return subprocess.run(
        [sys.executable, "-m", "keras_attention", *map(str, arguments)], input=stdin, capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "dates"
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


@pytest.mark.parametrize("command", ["train dates", "train pairs", "convert", "evaluate", "plot", "export"])
def test_every_flag_has_a_line_of_help(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--help"])
    text = capsys.readouterr().out
    assert not re.search(r"^  --?\S+( \S+)?\n  -", text, re.MULTILINE)


def test_strings_are_converted_in_a_fresh_process_with_nothing_on_standard_error(exported):
    done = run("convert", "--model", exported, "3 May 1979", "1 June 2001")
    assert done.stdout.decode().split("\n") == ["1979-05-03", "2001-06-01", ""]
    assert done.stderr == b""


def test_standard_input_is_converted_line_by_line(exported, capsys, monkeypatch):
    done = run("convert", "--model", exported, "--log-prob", stdin=b"3 May 1979\r\n\n\xff\xfe\n1 June 2001")
    lines = done.stdout.decode().split("\n")
    assert len(lines) == 5
    assert re.fullmatch(r"-\d+\.\d{4}\t1979-05-03", lines[0])
    assert lines[3].endswith("\t2001-06-01")


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
    with commands._in_haste():
        assert not gc.isenabled()
        with pytest.raises(ImportError):
            importlib.import_module("matplotlib")
    assert gc.isenabled()
    assert "matplotlib" not in sys.modules
