"""The Python of the README and of the first pages runs as it stands, their commands exist, and links lead somewhere."""

import pathlib
import re
import shutil

import pytest

from keras_attention import TextToText, cli
from tests.unchecked import unchecked_exports

ROOT = pathlib.Path(__file__).parents[1]
# Documents whose Python is no doctest: a person copies it whole.
FIRST = ["README.md", "docs/index.md", "docs/ko/index.md"]
FIRST += [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs/start").glob("*.md"))]
DOCUMENTS = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
SCREEN = 90  # lines


def blocks(document, language):
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("document", [document for document in FIRST if blocks(document, "python")])
def test_every_python_block_runs_in_order(document, exported, tmp_path, monkeypatch):
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models/date_converter").symlink_to(exported)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks(document, "python"):
        exec(compile(block, document, "exec"), names)
    if document == "docs/start/pairs.md":
        assert (names["conversion"].text, names["conversion"].weights.shape) == ("1979-05-03", (10, 10))


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "date_converter"
    with unchecked_exports():
        TextToText.load(trained).export(folder)
    return folder


def command_lines():
    for document in FIRST:
        for block in blocks(document, "shell"):
            for line in block.splitlines():
                command = line.partition("#")[0].strip()
                if command.startswith("keras-attention "):
                    yield command.removeprefix("keras-attention ")


@pytest.mark.parametrize("command", sorted(set(command_lines())))
def test_every_command_is_one_that_the_parser_takes(command):
    import shlex

    cli.build_parser().parse_args(shlex.split(command))


def test_readme_is_one_screen():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= SCREEN


def test_make_has_the_two_commands():
    assert shutil.which("make")
    makefile = (ROOT / "Makefile").read_text()
    assert "\ndemo:" in makefile
    assert "\ntest:" in makefile
    assert "\nsite:" in makefile


def test_links_lead_somewhere():
    for document in DOCUMENTS:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"
