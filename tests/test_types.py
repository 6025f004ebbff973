"""What editors and type checkers see: plain arguments and results are annotated, and the wheel says so."""

import inspect
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from keras_attention import data, dates, recipes, tasks, testing, visualization
from keras_attention.bleu import corpus_scores

ROOT = pathlib.Path(__file__).parents[1]
FUNCTIONS = [
    corpus_scores,
    data.generate_dates,
    data.read_corpus,
    data.read_lines,
    data.read_pairs,
    data.split_by_target,
    data.write_pairs,
    dates.to_datetime,
    recipes.train_answerer,
    recipes.train_converter,
    recipes.train_translator,
    tasks.Task.export,
    tasks.Task.load,
    tasks.Task.save,
    tasks.load,
    testing.assert_no_future_leak,
    testing.assert_padding_invariant,
    testing.check_attention,
    visualization.attention_page,
    visualization.plot_attention,
]
# Tensors, arrays, models of any form, records of settings and what is handed on.
NOT_PLAIN = {"self", "weights", "model", "inputs", "padded", "causal", "places", "examples", "strategy", "settings"}
NOT_PLAIN |= {"given", "more", "source_tokenizer", "target_tokenizer"}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__)
def test_plain_arguments_and_results_are_annotated(function):
    signature = inspect.signature(function)
    empty = inspect.Parameter.empty
    bare = {name for name, parameter in signature.parameters.items() if parameter.annotation is empty}
    assert bare <= NOT_PLAIN
    assert signature.return_annotation is not empty


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names of the files of the package as it would be published."""
    setuptools = pytest.importorskip("setuptools", reason="setuptools is not installed")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("setuptools is older than 77")
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "setup.py"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "keras_attention", source / "keras_attention", ignore=shutil.ignore_patterns("__pycache__"))
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(target)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = target.glob("*.whl")
    return set(zipfile.ZipFile(file).namelist())


def test_wheel_holds_every_file_of_the_package(wheel):
    package = ROOT / "keras_attention"
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "keras_attention/py.typed" in files
    assert files - wheel == set()
