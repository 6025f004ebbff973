"""What people read first: flags and arguments say what they are, and lines of documents stay short."""

import argparse
import pathlib
import re

import pytest

from keras_attention import cli

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
DOCUMENTS += (ROOT / "examples").rglob("*.md")
LONGEST = 120
# A text about an argument that begins like this does not say what the argument is.
VAGUE = re.compile(r"(of|whose|which one|from the|without a flag|who|those of the)\b")


def parsers(parser, name="keras-attention"):
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub, child in action.choices.items():
                yield from parsers(child, f"{name} {sub}")


PARSERS = dict(parsers(cli.build_parser()))


@pytest.mark.parametrize("name", PARSERS)
def test_help_says_what_each_argument_is(name):
    helps = {tuple(action.option_strings) or action.dest: action.help for action in PARSERS[name]._actions}
    assert {key: text for key, text in helps.items() if not text or VAGUE.match(text)} in (
        {},
        {"command": None},
        {"kind": None},
    )


@pytest.mark.parametrize("name", [name for name, parser in PARSERS.items() if not parser._subparsers])
def test_help_has_an_example(name):
    assert f"  {name} " in PARSERS[name].epilog or f"  {name}\n" in f"{PARSERS[name].epilog}\n"


def test_docstrings_say_what_each_argument_is():
    found = []
    for file in (ROOT / "keras_attention").rglob("*.py"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if re.match(r"\s+\*{0,2}\w+: (of|whose) \w", line):
                found.append(f"{file.name}:{number}: {line.strip()}")
    assert found == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_of_documents_are_short(document):
    lines = document.read_text(encoding="utf-8").splitlines()
    prose = [line for line in lines if not line.startswith(("|", "![", "$ ", "    ", ">>> ", "- [", "python "))]
    assert [line for line in prose if len(line) > LONGEST] == []
