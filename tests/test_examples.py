"""Each example runs, briefly, from an empty folder."""

import pathlib
import subprocess
import sys

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_attention_in_one_page(tmp_path):
    printed = run(tmp_path, EXAMPLES / "attention_in_one_page.py")
    assert "dot product, masked:\n    0.96  0.02  0.02  0.00\n    0.02  0.02  0.96  0.00" in printed


def test_date_conversion(tmp_path):
    script = EXAMPLES / "date_conversion/date_conversion.py"
    printed = run(tmp_path, script, "--count", "600", "--epochs", "1", "--output", "out")
    assert "exact match on" in printed
    assert (tmp_path / "out/model/1/saved_model.pb").is_file()
    assert (tmp_path / "out/attention.png").is_file()


def test_date_conversion_stays_under_a_hundred_lines():
    assert len((EXAMPLES / "date_conversion/date_conversion.py").read_text().splitlines()) < 100
