"""A shortlist of everything changes nothing; one of less chooses among that, in every translator and strategy."""

import json

import numpy as np
import pytest

from keras_attention import cli, load
from keras_attention.decoding import Beam, Constraint, Greedy, NormalizedBeam, Rules, Sample, Shortlist
from keras_attention.models import RecurrentTranslator, TransformerTranslator
from keras_attention.tasks import TextToText
from keras_attention.tasks.shortlists import learn_shortlist, read_shortlist, with_shortlist, write_shortlist
from keras_attention.text import CharacterTokenizer

TEXTS = ["abc def", "fed", "a", "bca fde ab"]
TOKENIZER = CharacterTokenizer.train(["abcdef ghij klmnop"])
SIZE = len(TOKENIZER.vocabulary)
_BLOCKS = {"layers": 1, "units": 8, "num_heads": 2, "feed_forward_units": 8, "dropout": 0.0}
_RECURRENT = {"units": 6, "embedding_dim": 5, "dropout": 0.0}
MODELS = {
    "transformer": lambda: TransformerTranslator(SIZE, SIZE, **_BLOCKS, tied=None, output_bias=True),
    "transformer, tied": lambda: TransformerTranslator(SIZE, SIZE, **_BLOCKS, output_bias=True),
    "recurrent": lambda: RecurrentTranslator(SIZE, SIZE, **_RECURRENT, tied=False),
    "recurrent, tied": lambda: RecurrentTranslator(SIZE, SIZE, **_RECURRENT),
}


def task_of(name, strategy):
    model = MODELS[name]()
    draw = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(draw.normal(0, 0.7, weight.shape))
    return TextToText(model, TOKENIZER, TOKENIZER, strategy, max_length=6)


def everything():
    return Shortlist([list(range(4, SIZE))] * SIZE)


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("transformer", Greedy()),
        ("transformer, tied", Beam(3, 0.6, n_best=2)),
        ("recurrent", NormalizedBeam(3, rules=Rules(1.3, 2, 2, first=8, more_ends=(10,)))),
        ("recurrent, tied", Sample(seed=3, top_k=3)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_shortlist_of_everything_changes_nothing(name, strategy):
    task = task_of(name, strategy)
    short = task.with_shortlist(everything())
    prefix = None if strategy.rules else ["ab", "", "c", "f"]
    for expected, found in zip(task(TEXTS, prefix=prefix), short(TEXTS, prefix=prefix), strict=True):
        assert found.text == expected.text
        assert found.log_prob == pytest.approx(expected.log_prob, abs=1e-4)
        np.testing.assert_allclose(found.weights, expected.weights, atol=1e-5)


def test_results_hold_what_their_sources_lead_to_and_what_always_may_come():
    letters = {letter: TOKENIZER.vocabulary.tokens.index(letter) for letter in "abcdefgh"}
    rows = [[] for _ in range(SIZE)]
    rows[letters["a"]], rows[letters["d"]] = [letters["b"]], [letters["e"]]
    task = task_of("transformer", Beam(2)).with_shortlist(Shortlist(rows, [letters["h"]]))
    assert set(task("aaa").text) <= {"b", "h"} and set(task("ddd").text) <= {"e", "h"}
    assert set("".join(result.text for result in task(["aaa", "ddd"]))) <= {"b", "e", "h"}
    assert task("aaa", prefix="gg").text.startswith("gg")


def test_a_shortlist_is_learned_from_attention_written_and_exported(tmp_path, capsys, unchecked):
    task = task_of("transformer", Greedy())
    whole = learn_shortlist(task, TEXTS, per_token=SIZE, always=2)
    number = TOKENIZER.vocabulary.tokens.index
    attended = {
        (number(result.source_tokens[place]), number(token))
        for result in task(TEXTS)
        for token, weights in zip(result.tokens, result.weights, strict=True)
        for place in weights.argsort()[-2:]
    }
    assert {(index, target) for index, row in enumerate(whole.rows) for target in row} == attended
    shortlist = learn_shortlist(task, TEXTS, per_token=3, always=2)
    assert max(map(len, shortlist.rows)) == 3 < max(map(len, whole.rows)) and len(shortlist.always) == 4 + 2
    file = tmp_path / "shortlist.json"
    write_shortlist(shortlist, task, file)
    again = read_shortlist(file, task)
    assert (again.rows, again.always) == (shortlist.rows, shortlist.always)
    run, model = tmp_path / "run", tmp_path / "model"
    task.save(run)
    (tmp_path / "texts").write_text("\n".join(TEXTS))
    arguments = ["--model", str(run), str(tmp_path / "texts"), "--per-token", "3", "--always", "2"]
    assert cli.main(["shortlist", *arguments, "--output", str(tmp_path / "again.json")]) == 0
    assert "target tokens for each of" in capsys.readouterr().out
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(file.read_text())
    assert cli.main(["export", str(run), str(model), "--shortlist", str(file)]) == 0
    expected = with_shortlist(task, file)(TEXTS)
    assert [result.text for result in load(model)(TEXTS)] == [result.text for result in expected]


def test_a_shortlist_that_does_not_belong_is_refused(tmp_path):
    task = task_of("recurrent", Greedy())
    with pytest.raises(ValueError, match="Received none, so that nothing could be a result"):
        Shortlist([[]])
    with pytest.raises(ValueError, match=rf"must have a row for each of the {SIZE} source ids.*Received 1 rows"):
        task.with_shortlist(Shortlist([[5]]))
    constrained = TextToText(task.model, TOKENIZER, TOKENIZER, constraint=Constraint.from_regex("a+"))
    with pytest.raises(ValueError, match="do not go together"):
        constrained.with_shortlist(everything())
    file = tmp_path / "file.json"
    file.write_text("[]")
    with pytest.raises(ValueError, match="is no shortlist"):
        read_shortlist(file, task)
    write_shortlist(everything(), task, file)
    other = CharacterTokenizer.train(["xyz abcdefghijklmno"])
    content = json.loads(file.read_text()) | {"source_vocabulary": other.vocabulary.fingerprint}
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="for other vocabularies"):
        read_shortlist(file, task)
    with pytest.raises(ValueError, match="expected at least one text"):
        learn_shortlist(task, [])
