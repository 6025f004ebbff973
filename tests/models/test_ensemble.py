"""Several models as one: mean probabilities, of one kind or of several, searched and exported."""

import numpy as np
import pytest

from keras_attention import cli, load
from keras_attention.decoding import Beam, Shortlist
from keras_attention.models import DateConverter, TransformerTranslator
from keras_attention.models.ensemble import Ensemble
from keras_attention.tasks import TextToText
from keras_attention.text import CharacterTokenizer

TOKENIZER = CharacterTokenizer.train(["abcdef"])
SIZE = len(TOKENIZER.vocabulary)


def random_task(kind, seed):
    model = {
        "recurrent": lambda: DateConverter(SIZE, SIZE, units=4, encoder_units=3, embedding_dim=5),
        "transformer": lambda: TransformerTranslator(
            SIZE, SIZE, layers=2, units=8, num_heads=2, feed_forward_units=8, dropout=0.0
        ),
    }[kind]()
    draw = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(draw.normal(0, 0.6, weight.shape))
    return TextToText(model, TOKENIZER, TOKENIZER, max_length=5)


def test_probabilities_are_means():
    tasks = [random_task("recurrent", 1), random_task("transformer", 2), random_task("recurrent", 3)]
    inputs = {"source": np.array([[5, 6, 7], [8, 4, 0]]), "target": np.array([[2, 6], [2, 9]])}

    def probabilities(model):
        logits = np.exp(model(inputs).numpy())
        return logits / logits.sum(-1, keepdims=True)

    expected = np.mean([probabilities(task.model) for task in tasks], axis=0)
    np.testing.assert_allclose(probabilities(Ensemble([task.model for task in tasks])), expected, atol=1e-6)


def test_a_result_has_the_mean_probability_in_search_too_and_in_an_export(tmp_path, unchecked):
    first, second = random_task("recurrent", 1), random_task("transformer", 2)
    alone = first.score([("abc", "f")])[0]
    together = first.with_strategy(Beam(3)).together_with([second])
    assert together.score([("abc", "f")])[0].log_prob != alone.log_prob  # what the one has compiled is not the others'
    results = together(["abc", "f"])
    scores = together.score([("abc", results[0].text), ("f", results[1].text)])
    np.testing.assert_allclose([score.log_prob for score in scores], [r.log_prob for r in results], atol=1e-4)
    assert results[0].weights.shape == (len(results[0].tokens), 3)
    np.testing.assert_allclose(results[0].weights.sum(1), 1, atol=1e-5)
    exported = load(together.export(tmp_path / "model"))(["abc", "f"])
    assert [result.text for result in exported] == [result.text for result in results]
    short = together.with_shortlist(Shortlist([list(range(4, SIZE))] * SIZE))(["abc", "f"])
    assert [result.text for result in short] == [result.text for result in results]


def test_a_model_with_itself_changes_nothing(tmp_path, capsys):
    task = random_task("recurrent", 1)
    task.save(tmp_path / "one")
    (tmp_path / "texts").write_text("abc\nfed\n")
    command = ["translate", "--model", str(tmp_path / "one"), str(tmp_path / "texts"), "--log-prob"]
    assert cli.main(command) == 0
    alone = capsys.readouterr().out
    assert cli.main([*command, "--with", str(tmp_path / "one")]) == 0
    assert capsys.readouterr().out == alone


def test_other_vocabularies_are_refused():
    other = CharacterTokenizer.train(["abcdeg"])
    task = TextToText(DateConverter(SIZE, SIZE, units=4), other, TOKENIZER)
    with pytest.raises(ValueError, match="must have the same source vocabulary"):
        random_task("recurrent", 1).together_with([task])
    with pytest.raises(ValueError, match=r"Received sizes \[\(7, 9\), \(9, 7\)\]"):
        Ensemble([DateConverter(9, 7, units=4), DateConverter(7, 9, units=4)])
