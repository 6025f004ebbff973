"""The notebooks: each runs, in small, in a kernel of its own, and keeps its pictures."""

import json
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def cells_of(notebook):
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize(
    "notebook", [notebook for notebook in NOTEBOOKS if notebook.stem != "dates_ko"], ids=lambda path: path.stem
)
def test_notebook_runs_with_its_small_settings(notebook, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install '.[docs]'")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install '.[docs]'")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install '.[docs]'")
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    opened = nbformat.read(notebook, as_version=4)
    (settings,) = (cell for cell in opened.cells if "settings" in cell.metadata.get("tags", []))
    settings.source = settings.metadata.small
    nbclient.NotebookClient(opened, timeout=300, resources={"metadata": {"path": os.fspath(tmp_path)}}).execute()
    drawn = [
        output for cell in opened.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert drawn


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_its_pictures_and_no_failure(notebook):
    outputs = [output for cell in cells_of(notebook) for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"] == []


def test_korean_notebook_runs_what_the_english_one_does():
    code, korean = (
        [
            "".join(cell["source"])
            for cell in cells_of(ROOT / f"docs/notebooks/{name}.ipynb")
            if cell["cell_type"] == "code"
        ]
        for name in ("dates", "dates_ko")
    )
    assert korean == [cell.replace('"en_US"', '"ko_KR"') for cell in code]


def test_there_is_a_notebook_for_each_task_of_the_first_hour():
    assert [notebook.stem for notebook in NOTEBOOKS] == [
        "dates",
        "dates_ko",
        "memory_network",
        "own_layer",
        "time_series",
        "translation",
    ]
