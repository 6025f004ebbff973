"""A Transformer in bfloat16: nearly the same results, in half the bytes; others are refused."""

import pytest

from keras_attention import Beam, CharacterTokenizer, RecurrentTranslator, TextToText, TransformerTranslator, cli, load

TEXTS = ["abc def", "fed", "a", ""]
TOKENIZER = CharacterTokenizer.train(["abcdef"])
SIZE = len(TOKENIZER.vocabulary)


def translator(**arguments):
    sizes = {"layers": 1, "units": 64, "num_heads": 4, "feed_forward_units": 256}
    return TextToText(TransformerTranslator(SIZE, SIZE, **sizes, **arguments), TOKENIZER, TOKENIZER, Beam(2), 6)


@pytest.mark.parametrize("arguments", [{}, {"tied": None, "norm": "post"}], ids=["tied, pre", "not tied, post"])
def test_probabilities_are_those_of_rounded_weights(arguments):
    task = translator(**arguments)
    half = task.with_dtype("bfloat16")
    pairs = [("abc def", "fab"), ("a", ""), ("fed", "abcdef")]
    for expected, found in zip(task.score(pairs), half.score(pairs), strict=True):
        assert found.log_prob != expected.log_prob
        assert found.log_prob == pytest.approx(expected.log_prob, rel=0.02)
    assert {variable.dtype for variable in half.model.trainable_variables} == {"bfloat16"}
    again = half.with_dtype("float32")
    assert again.score(pairs)[0].log_prob == pytest.approx(task.score(pairs)[0].log_prob, rel=0.01)


def test_an_export_has_half_the_bytes_and_the_same_signature(tmp_path, capsys, unchecked):
    task = translator()
    task.save(tmp_path / "run")
    sizes = {}
    for dtype in ("float32", "bfloat16"):
        assert cli.main(["export", str(tmp_path / "run"), str(tmp_path / dtype), "--dtype", dtype]) == 0
        variables = tmp_path / dtype / "1" / "variables"
        sizes[dtype] = sum(file.stat().st_size for file in variables.glob("variables.data*"))
    assert sizes["bfloat16"] < 0.55 * sizes["float32"]
    for found, expected in zip(load(tmp_path / "bfloat16")(TEXTS), task.with_dtype("bfloat16")(TEXTS), strict=True):
        assert (found.text, found.weights.dtype) == (expected.text, expected.weights.dtype)


def test_what_gains_nothing_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match=r"dtype must be one of 'float32', 'bfloat16'\. Received 'float16'"):
        translator().with_dtype("float16")
    recurrent = TextToText(RecurrentTranslator(SIZE, SIZE, units=4), TOKENIZER, TOKENIZER)
    with pytest.raises(ValueError, match=r"only a Transformer gains .* Received a RecurrentTranslator"):
        recurrent.with_dtype("bfloat16")
    translator().save(tmp_path / "run")
    export = ["export", str(tmp_path / "run"), str(tmp_path / "model"), "--dtype", "bfloat16"]
    assert cli.main([*export, "--format", "ctranslate2"]) == 1
    assert "Give --quantization to --format ctranslate2" in capsys.readouterr().err
