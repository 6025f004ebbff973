"""From strings to strings: containers, hostile strings, files."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_attention
from keras_attention import Beam, CharacterTokenizer, DateConverter, Greedy, Sample, Task, TextToText, load
from keras_attention.data import generate_dates
from tests.conftest import FORMATS


@pytest.fixture(scope="module")
def converter(trained):
    return TextToText.load(trained)


@pytest.fixture(scope="module")
def held_out():
    return generate_dates(200, seed=77, formats=FORMATS)


def test_dates_it_never_saw_are_converted(converter, held_out):
    evaluation = converter.evaluate(held_out)
    assert evaluation.exact_match >= 0.97, evaluation.mistakes


def test_conversion_has_text_log_probability_tokens_and_weights(converter):
    conversion = converter("3 May 1979")
    assert conversion.text == "".join(conversion.tokens) == "1979-05-03"
    assert -1.0 < conversion.log_prob < 0.0
    assert "".join(conversion.source_tokens) == "3 May 1979"
    assert conversion.weights.shape == (10, 10)
    np.testing.assert_allclose(conversion.weights.sum(-1), 1.0, atol=1e-5)
    assert conversion.n_best == [(conversion.text, conversion.log_prob)]


@pytest.mark.parametrize(
    "texts",
    [
        ["3 May 1979", "1 June 2001"],
        ("3 May 1979", "1 June 2001"),
        [b"3 May 1979", "1 June 2001"],
        np.array(["3 May 1979", "1 June 2001"]),
        np.array(["3 May 1979", "1 June 2001"], dtype=object),
        tf.constant(["3 May 1979", "1 June 2001"]),
    ],
    ids=["list", "tuple", "bytes", "array", "object array", "tensor"],
)
def test_several_strings_in_any_container_give_a_list(converter, texts):
    assert [conversion.text for conversion in converter(texts)] == ["1979-05-03", "2001-06-01"]


@pytest.mark.parametrize("text", ["3 May 1979", b"3 May 1979", tf.constant("3 May 1979"), np.str_("3 May 1979")])
def test_one_string_in_any_form_gives_one_conversion(converter, text):
    assert converter(text).text == "1979-05-03"


def test_no_string_gives_no_conversion(converter):
    assert converter([]) == []


@pytest.mark.parametrize("wrong", [3, [3], [["a"], ["b"]], None, [None]])
def test_anything_but_strings_is_refused(converter, wrong):
    with pytest.raises(TypeError, match=r"expected (strings|a string or a flat sequence of strings)"):
        converter(wrong)


HOSTILE = [
    "",
    "   ",
    "x" * 10_000,
    "🗓️🎉",
    b"\xff\xfe\x00",
    "한국어 날짜",
    "\x00",
    "\u202e3 May 1979",
    "a\nb\tc",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_string_gets_an_answer_without_nan(converter, text):
    conversion = converter(text)
    assert np.isfinite(conversion.log_prob)
    if conversion.source_tokens:
        assert conversion.log_prob < converter("3 May 1979").log_prob  # it is less sure of itself
    else:
        assert (conversion.text, conversion.log_prob) == ("", 0.0)  # of nothing becomes nothing
    assert np.isfinite(conversion.weights).all()
    assert conversion.weights.shape == (len(conversion.tokens), len(conversion.source_tokens))


def test_hostile_strings_harm_nobody_in_their_batch(converter):
    together = converter([*HOSTILE, "3 May 1979"])
    assert together[-1].text == "1979-05-03"
    assert together[-1].log_prob == pytest.approx(converter("3 May 1979").log_prob, abs=1e-4)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=3))
@settings(max_examples=15)
def test_any_text_gets_an_answer(converter, texts):
    for conversion in converter(texts):
        assert np.isfinite(conversion.log_prob)


def test_unknown_character_is_shown_as_typed(converter):
    assert "한" in converter("3 한 1979").source_tokens


def test_batches_of_any_size_give_the_same(converter, held_out):
    texts = [text for text, _ in held_out[:20]]
    one, many = converter(texts, batch_size=20), converter(texts, batch_size=3)
    assert [conversion.text for conversion in one] == [conversion.text for conversion in many]
    np.testing.assert_allclose(
        [conversion.log_prob for conversion in one], [conversion.log_prob for conversion in many], atol=1e-4
    )


def test_beam_returns_the_n_best(trained):
    converter = TextToText.load(trained, strategy=Beam(4, n_best=3))
    conversion = converter(["3 May 1979", ""])[0]
    assert conversion.n_best[0] == (conversion.text, conversion.log_prob)
    log_probs = [log_prob for _, log_prob in conversion.n_best]
    assert len({text for text, _ in conversion.n_best}) == 3
    assert log_probs == sorted(log_probs, reverse=True)


@pytest.mark.parametrize("strategy", [Greedy(), Beam(3), Beam(3, 0.6, 0.2), Sample(top_k=1)], ids=str)
def test_result_that_does_not_end_by_itself_keeps_the_limit_and_says_so(trained, strategy):
    converter = TextToText.load(trained, strategy)
    whole = converter("3 May 1979")
    assert whole.text == "1979-05-03" and whole.finished
    for limit in (4, 10):
        fresh = TextToText(converter.model, converter.source_tokenizer, converter.target_tokenizer, strategy, limit)
        conversion = fresh("3 May 1979")
        assert conversion.finished == (limit == 10)
        assert conversion.text == "1979-05-03"[:limit] and len(conversion.tokens) == limit
        # The probability of that text, its end included.
        assert (
            conversion.log_prob == pytest.approx(whole.log_prob, abs=1e-3) if limit == 10 else conversion.log_prob < -3
        )


@pytest.mark.parametrize(
    ("prefix", "message"),
    [("19x9", "does not have 'x'"), ("1979-05-031", "of 11 tokens: a result has at most 10"), (["1", "?1"], "'\\?1'")],
)
def test_prefix_that_no_result_can_begin_with_is_refused(trained, prefix, message):
    converter = TextToText.load(trained)
    converter.max_length = 10
    with pytest.raises(ValueError, match=message):
        converter(["3 May 1979", "4 May 1979"], prefix=prefix)
    assert converter("3 May 1979", prefix="20").text.startswith("20")


def test_saved_converter_comes_back(converter, tmp_path):
    beam = TextToText(converter.model, converter.source_tokenizer, converter.target_tokenizer, Beam(2, n_best=2), 11)
    beam.save(tmp_path / "deep" / "folder")
    again = keras_attention.load(tmp_path / "deep" / "folder")
    assert again.strategy == Beam(2, n_best=2)
    assert again.max_length == 11
    assert again("3 May 1979").n_best == beam("3 May 1979").n_best


def test_loaded_run_outlives_a_change_of_folder(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(trained.parent)
    converter = load(trained.name)
    monkeypatch.chdir(tmp_path)
    assert converter("3 May 1979").text == "1979-05-03"
    converter.save("again")
    assert load("again")("3 May 1979").text == "1979-05-03"


def test_run_of_before_reads_characters_in_their_normal_form(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    record = json.loads((folder / "task.json").read_text())
    for saved in record["settings"]["tokenizers"].values():
        del saved["normalization"]
    (folder / "task.json").write_text(json.dumps(record))
    assert load(folder)("３ Ｍａｙ 1979").text == "1979-05-03"  # noqa: RUF001


def test_settings_under_their_earlier_name_are_read(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    record = json.loads((folder / "task.json").read_text())
    (folder / "converter.json").write_text(json.dumps(record["settings"]))
    (folder / "task.json").unlink()
    assert load(folder)("3 May 1979").text == load(trained)("3 May 1979").text


def test_task_of_another_kind_is_told(trained, tmp_path):
    class Other(Task):
        """Nothing yet."""

    with pytest.raises(TypeError, match=r"holds a TextToText. Write TextToText.load"):
        Other.load(trained)
    folder = shutil.copytree(trained, tmp_path / "run")
    (folder / "task.json").write_text('{"task": "nowhere:Nothing", "settings": {}}')
    with pytest.raises(LookupError, match=r"a Nothing of the module 'nowhere', which cannot be imported"):
        load(folder)


def test_inputs_of_another_kind_are_told(trained):
    task = load(trained)
    with pytest.raises(ValueError, match=r"inputs must be text, and may be prefix. Received words"):
        task.run(words=["a"])
    with pytest.raises(ValueError, match=r"text must be string of shape \(any\). Received shape \(1, 1\)"):
        task.run(text=[["a"]])
    with pytest.raises(TypeError, match=r"text must be string of shape \(any\). Received \[1, 2\] of type list"):
        task.run(text=[1, 2])


def test_folder_without_a_converter_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no task.json. Give a folder that TextToText.save"):
        TextToText.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds neither a saved task nor an export"):
        keras_attention.load(tmp_path)


def test_vocabulary_of_another_model_is_refused():
    tokenizer = CharacterTokenizer.train(["ab"])
    with pytest.raises(ValueError, match=r"the model has 9 source ids and the source vocabulary 6"):
        TextToText(DateConverter(9, 6), tokenizer, tokenizer)


def test_a_score_is_the_log_probability_of_what_the_search_found(converter):
    texts = ["3 May 1979", "Tuesday, September 25, 1984", "07, jan 2031"]
    results = converter(texts)
    scores = converter.score([(text, result.text) for text, result in zip(texts, results, strict=True)], batch_size=2)
    assert [score.tokens for score in scores] == [len(result.tokens) + 1 for result in results]
    np.testing.assert_allclose([score.log_prob for score in scores], [r.log_prob for r in results], atol=1e-4)
    assert converter.score([("3 May 1979", "1979-05-04")])[0].log_prob < results[0].log_prob
