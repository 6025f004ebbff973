"""The README's Python runs as it stands, and its commands exist."""

import pathlib
import re
import shutil

import pytest

from keras_attention import TextToText, cli

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_python_block_runs_in_order(trained, tmp_path, monkeypatch, capsys):
    TextToText.load(trained).export(tmp_path / "saved_models/date_converter")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "1979-05-03" in printed
    assert "(10, 10)" in printed


def command_lines():
    for block in blocks("shell"):
        for line in block.splitlines():
            command = line.partition("#")[0].strip()
            if "keras-attention " in command:
                yield command.partition("keras-attention ")[2]


@pytest.mark.parametrize("command", list(command_lines()))
def test_every_command_is_one_that_the_parser_takes(command):
    import shlex

    cli.build_parser().parse_args(shlex.split(command))


def test_make_has_the_two_commands():
    assert shutil.which("make")
    makefile = (ROOT / "Makefile").read_text()
    assert "\ndemo:" in makefile
    assert "\ntest:" in makefile


def test_links_lead_somewhere():
    for document in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"
