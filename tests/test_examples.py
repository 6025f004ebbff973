"""Each example runs, briefly, from an empty folder."""

import itertools
import pathlib
import runpy
import subprocess
import sys
import zlib

import pytest

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


@pytest.fixture
def run_here(tmp_path, monkeypatch, capsys):
    """Runs a script in this process, which has imported what each of them imports; gives what it printed."""
    monkeypatch.chdir(tmp_path)

    def run_here(script, *arguments):
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out

    return run_here


def test_date_conversion(run_here, tmp_path, eagerly, unchecked):
    script = EXAMPLES / "date_conversion/date_conversion.py"
    printed = run_here(script, "--count", "300", "--epochs", "1", "--output", "out")
    assert "exact match on" in printed
    assert (tmp_path / "out/model/1/saved_model.pb").is_file()
    assert (tmp_path / "out/attention.png").is_file()


def test_sentiment(run_here, tmp_path, eagerly):
    printed = run_here(EXAMPLES / "sentiment/sentiment.py", "--count", "300", "--epochs", "1", "--output", "out")
    assert "accuracy on 30 sentences" in printed
    assert "the staff we met there was really not friendly" in printed
    assert (tmp_path / "out/attention.png").is_file()


def test_transliteration(run_here, tmp_path, eagerly):
    letters = dict(zip("កខគឃងចឆជឈញ", "kqgxwcvjzn", strict=True))
    words = ["".join(pair) for pair in itertools.product(letters, repeat=3)][::4]
    lines = (f"{word}: {''.join(letters[letter] for letter in word).upper()}" for word in words)
    (tmp_path / "words.txt").write_text("\n".join(lines), encoding="utf-8")
    printed = run_here(EXAMPLES / "transliteration/transliteration.py", "words.txt", "--epochs", "1", "--units", "4")
    tested = sum(zlib.crc32("".join(letters[letter] for letter in word).encode()) % 20 == 0 for word in words)
    assert f"greedy: 0.0% of {tested} words right" in printed and "beam of 5" in printed


def test_time_series(run_here, tmp_path, eagerly, unchecked):
    script = EXAMPLES / "time_series/time_series.py"
    printed = run_here(script, "--weeks", "8", "--epochs", "1", "--units", "4", "--output", "out")
    assert "as a week ago: " in printed
    assert "over 4 days that were held out" in printed
    assert (tmp_path / "out/model/1/saved_model.pb").is_file()
    assert (tmp_path / "out/attention.png").is_file()


def test_image_caption(run_here, tmp_path, eagerly):
    script = EXAMPLES / "image_caption/image_caption.py"
    printed = run_here(script, "--count", "40", "--epochs", "1", "--output", "out")
    assert "of the captions that were held out are right" in printed
    assert (tmp_path / "out/attention.png").is_file()


@pytest.mark.parametrize("name", ["date_conversion", "image_caption", "sentiment", "time_series"])
def test_short_example_stays_under_a_hundred_lines(name):
    assert len((EXAMPLES / name / f"{name}.py").read_text().splitlines()) < 100


def test_translation_with_a_transformer(run_here, tmp_path, monkeypatch, eagerly, unchecked):
    monkeypatch.syspath_prepend(EXAMPLES)
    import toy_corpus

    few = toy_corpus.toy_corpus(400)  # a model that has hardly learnt takes long over each of what is held out
    monkeypatch.setattr(toy_corpus, "toy_corpus", lambda count: few)
    script = EXAMPLES / "translation_transformer/translation_transformer.py"
    printed = run_here(script, "--updates", "4", "--output", "out")
    assert "tok:13a" in printed
    assert (tmp_path / "out/model/1/saved_model.pb").is_file()


def test_translation_with_recurrent_networks_on_files_of_ones_own(run_here, tmp_path, monkeypatch, eagerly, unchecked):
    monkeypatch.syspath_prepend(EXAMPLES)
    from toy_corpus import toy_corpus

    for name, lines in zip(("en", "de"), zip(*toy_corpus(400), strict=True), strict=True):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    script = EXAMPLES / "translation_rnn/translation_rnn.py"
    files = ["--source", "en", "--target", "de", "--vocabulary-size", "400"]
    printed = run_here(script, *files, "--attention", "none", "--updates", "2", "--output", "out")
    assert "tok:13a" in printed
    assert (tmp_path / "out/none/model/1/saved_model.pb").is_file()


def test_turing_machine(run_here, tmp_path, eagerly):
    script = EXAMPLES / "turing_machine/turing_machine.py"
    arguments = ("--updates", "1", "--longest", "2", "--slots", "12", "--width", "8", "--output", "out")
    printed = run_here(script, *arguments)
    assert "6 times 2: " in printed
    assert (tmp_path / "out/model/1/saved_model.pb").is_file()
    assert (tmp_path / "out/heads.png").is_file()


def test_recommendation(run_here, tmp_path, eagerly, unchecked):
    printed = run_here(
        EXAMPLES / "recommendation/recommendation.py", "--users", "60", "--epochs", "1", "--output", "out"
    )
    assert "what most see: hit rate 0." in printed
    assert "profiles: hit rate" in printed
    assert (tmp_path / "out/model/1/saved_model.pb").is_file()
    assert (tmp_path / "out/attention.png").is_file()
