"""A recurrent translator of Keras' layers computes here what it computes in Keras, padding that takes part included."""

import collections
import json
import pickle
import zipfile

import keras
import numpy as np
import pytest

from keras_attention import cli, load
from keras_attention.tasks import TextToText

LETTERS, SIGNS = "abdehk-", "កខគឃ្"
LENGTH = 6
SOURCES = ["abba", "k", "Dahe", "hahahakk", "b a.d", "ab-k", "kek", "heb"]
READ = ["abba", "k", "dahe", "hahakk", "bad", "ab-k", "kek", "heb"]  # of the third on: lower, its last six, its letters


class Tokenizer:
    """As Keras' former one, of single characters, is pickled."""

    def __init__(self, characters, unknown):
        tokens = [*([unknown] if unknown else []), *characters]
        self.word_index = {token: index for index, token in enumerate(tokens, 1)}
        self.word_counts = collections.OrderedDict.fromkeys(tokens, 1)
        self.word_docs = collections.defaultdict(int, self.word_index)
        self.char_level, self.lower, self.oov_token = True, True, unknown


def model(projected=True, context_first=False, use_scale=True, distributed=True, **changed):
    """Random, `softmax` at its end; its GRUs are two of 5 units and one of 6, or 10 without a projection."""
    gru = {"return_sequences": True, "dropout": 0.1}
    units = 6 if projected else 10
    source, target = keras.Input((None,)), keras.Input((None,))
    embedded = keras.layers.Embedding(10, 4, **changed.get("embedding", {}))(source)
    encoder = keras.layers.GRU(5, **gru | changed.get("encoder", {}))
    value = keras.layers.Bidirectional(encoder, **changed.get("directions", {}))(embedded)
    if projected:
        dense = keras.layers.Dense(6, **changed.get("dense", {}))
        value = (keras.layers.TimeDistributed(dense) if distributed else dense)(value)
    query = keras.layers.GRU(units, **gru | changed.get("decoder", {}))(keras.layers.Embedding(9, 3)(target))
    context = keras.layers.AdditiveAttention(use_scale=use_scale)([query, value])
    joined = keras.layers.Concatenate()([context, query] if context_first else [query, context])
    made = keras.Model([source, target], keras.layers.Dense(9, activation="softmax")(joined))
    draw = np.random.default_rng(3)
    for weight in made.weights:
        weight.assign(draw.normal(scale=1.1, size=weight.shape))
    return made


def saved(folder, unknown="<unk>", **arguments):
    keras.utils.set_random_seed(0)
    made = model(**arguments)
    made.save(folder / "model.keras")
    write_assets(folder, unknown)
    return made


def write_assets(folder, unknown="<unk>", letters=LETTERS, signs=SIGNS + "\t\n", **changed):
    content = {"latin_tokenizer": Tokenizer(letters, unknown), "khmer_tokenizer": Tokenizer(signs, unknown)}
    content |= {"max_latin_len": LENGTH, "max_khmer_len": 5} | changed
    (folder / "assets.pkl").write_bytes(pickle.dumps(content))


def read(folder, **options):
    return TextToText.from_pretrained(folder, architecture="keras-recurrent", **options)


def ids_of(texts, unknown):
    """Of Keras: filled with zeros to one length."""
    index = Tokenizer(LETTERS, unknown).word_index
    return np.array([[*map(index.get, text), *[0] * (LENGTH - len(text))] for text in texts])


def greedy(made, texts, unknown, longest):
    """The best sign at each step, neither padding nor start."""
    index = Tokenizer(SIGNS + "\t\n", unknown).word_index
    signs = {number: sign for sign, number in index.items()}
    source, target = ids_of(texts, unknown), np.full((len(texts), 1), index["\t"])
    for _ in range(longest):
        probabilities = made([source, target]).numpy()[:, -1]
        probabilities[:, [0, index["\t"]]] = -1
        target = np.concatenate([target, probabilities.argmax(axis=-1)[:, None]], axis=1)
    texts = ["".join(signs.get(number, "") for number in row[1:]) for row in target]
    return [text.partition("\n")[0].replace("<unk>", "") for text in texts]


FORMS = [
    {},
    {"unknown": None, "context_first": True},
    {"projected": False, "use_scale": False},
    {"distributed": False, "dense": {"use_bias": False}},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: ", ".join(form) or "as published")
def test_logits_are_those_of_keras(tmp_path, form):
    made, unknown = saved(tmp_path, **form), form.get("unknown", "<unk>")
    task = read(tmp_path)
    target = np.array([[0, 3, 4, 5], [0, 2, 6, 3], [0, 5, 4, 2]])
    target[:, 0] = Tokenizer(SIGNS + "\t\n", unknown).word_index["\t"]
    expected = np.log(made([ids_of(READ[:3], unknown), target]).numpy())
    tokens = [None, *Tokenizer(SIGNS + "\t\n", unknown).word_index]
    special = {None: 0, "<unk>": 1, "\t": 2, "\n": 3}
    known = {token: index for index, token in enumerate(task.target_tokenizer.vocabulary.tokens)} | special
    order = np.array([known[token] for token in tokens])
    source = task.source_tokenizer.encode(SOURCES[:3]).to_tensor(0)
    logits = task.model({"source": source, "target": order[target]}).numpy()
    ours = (logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))[..., order]
    np.testing.assert_allclose(ours, expected[..., : len(order)], atol=1e-4)


@pytest.mark.parametrize("form", FORMS[:2], ids=["as published", "unknown letters have no id"])
def test_greedy_search_finds_the_same_texts_and_so_does_the_export(tmp_path, form, unchecked):
    made, unknown = saved(tmp_path, **form), form.get("unknown", "<unk>")
    task = read(tmp_path, max_length=9)
    expected = greedy(made, READ, unknown, longest=8)
    assert len(set(expected)) > 2
    found = task(SOURCES)
    assert [conversion.text for conversion in found] == expected
    assert [len(conversion.source_tokens) for conversion in found] == [LENGTH] * len(SOURCES)
    assert task("hahahakk").source_tokens == list("hahakk") and task("k").source_tokens == ["k", *["[FILL]"] * 5]
    assert [task(text).text for text in ("", "  ", "!?")] == [""] * 3
    exported = load(task.export(tmp_path / "model"))
    assert [conversion.text for conversion in exported(SOURCES)] == expected


def test_a_run_of_it_is_translated_with_and_trained_further(tmp_path, capsys):
    saved(tmp_path)
    run, pair = tmp_path / "run", [str(tmp_path / "latin"), str(tmp_path / "khmer")]
    assert cli.main(["import", "keras-recurrent", str(tmp_path), "--run", str(run)]) == 0
    assert "decoded by Greedy" in capsys.readouterr().out
    assert load(run).max_length == 31
    (tmp_path / "latin").write_text("ab\nhekahe\n")
    (tmp_path / "khmer").write_text("កខ\nគ\n", encoding="utf-8")
    assert cli.main(["translate", "--model", str(run), pair[0]]) == 0
    expected = [conversion.text for conversion in read(tmp_path)(["ab", "hekahe"])]
    assert capsys.readouterr().out.splitlines() == expected
    before = sum(score.log_prob for score in load(run).score([("ab", "កខ"), ("hekahe", "គ")]))
    train = ["train", "translation", "--from", str(run), "--source", pair[0], "--target", pair[1]]
    train += ["--validation-source", pair[0], "--validation-target", pair[1], "--updates", "4", "--round-updates", "4"]
    assert cli.main([*train, "--warmup", "1", "--learning-rate", "0.01", "--run", str(tmp_path / "tuned")]) == 0
    after = sum(score.log_prob for score in load(tmp_path / "tuned").score([("ab", "កខ"), ("hekahe", "គ")]))
    assert after > before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"embedding": {"mask_zero": True}}, "has mask_zero=True, expected False"),
        ({"encoder": {"reset_after": False}}, "has reset_after=False, expected True"),
        ({"decoder": {"activation": "relu"}}, "has activation='relu', expected 'tanh'"),
        ({"directions": {"merge_mode": "sum"}, "projected": True}, "has merge_mode='sum', expected 'concat'"),
        ({"dense": {"activation": "tanh"}}, "has an activation"),
    ],
    ids=["mask", "gates", "activation", "directions", "projection"],
)
def test_a_layer_that_computes_something_else_is_named(tmp_path, changed, message):
    saved(tmp_path, **changed)
    with pytest.raises(ValueError, match=f"is of another architecture: .*{message}"):
        read(tmp_path)


def test_other_architectures_are_refused_by_where_they_differ(tmp_path):
    write_assets(tmp_path)
    source = keras.Input((None,))
    embedded = keras.layers.Embedding(10, 4)(source)
    both, lstm = (
        keras.layers.Bidirectional(kind(5, return_sequences=True))(embedded)
        for kind in (keras.layers.GRU, keras.layers.LSTM)
    )
    query = keras.layers.GRU(10, return_sequences=True)(embedded)
    context = keras.layers.AdditiveAttention()([query, lstm])
    of_lstm = keras.layers.Dense(9)(keras.layers.Concatenate()([query, context]))
    for output, message in (
        (embedded, "its output is of Embedding, expected Dense"),
        (keras.layers.Dense(9, activation="relu")(embedded), "has activation='relu'"),
        (keras.layers.Dense(9)(embedded), "reads Embedding, expected Concatenate"),
        (keras.layers.Dense(9)(keras.layers.Concatenate()([query, both])), "joins GRU, Bidirectional, expected"),
        (of_lstm, "is of LSTM, expected GRU"),
    ):
        keras.Model(source, output).save(tmp_path / "model.keras")
        with pytest.raises(ValueError, match=message):
            read(tmp_path)
    keras.Sequential([keras.layers.Dense(3)]).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"must be a functional model .* the model is Sequential"):
        read(tmp_path)
    (tmp_path / "model.keras").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="must be a functional model in Keras' format"):
        read(tmp_path)


def test_files_that_are_missing_or_do_not_fit_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no \*.keras. It holds nothing"):
        read(tmp_path)
    model().save(tmp_path / "model.keras")
    with pytest.raises(FileNotFoundError, match=r"has no \*.pkl or \*.pickle. It holds model.keras"):
        read(tmp_path)
    for changed, message in (
        ({"max_latin_len": "6"}, "must hold max_latin_len, an integer. It is '6'"),
        ({"letters": LETTERS + "xyz"}, r"has id 10 for 'y', and embedding\S* 10 rows"),
        ({"signs": SIGNS}, r"must be a dict with two tokenizers .* latin_tokenizer, khmer_tokenizer"),
        ({"letters": [*LETTERS, "ch"]}, r"char_level=True. One has the tokens \['ch'\]"),
    ):
        write_assets(tmp_path, **changed)
        with pytest.raises(ValueError, match=message):
            read(tmp_path)
    write_assets(tmp_path)
    with pytest.raises(ValueError, match="knows no languages"):
        read(tmp_path, target_language="km")
    with zipfile.ZipFile(tmp_path / "model.keras") as content:
        config, weights = json.loads(content.read("config.json")), content.read("model.weights.h5")
    config["config"]["layers"].append(config["config"]["layers"][2] | {"name": "one_more"})
    config["config"]["layers"].reverse()  # another order of classes: weights that are not there
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as content:
        content.writestr("config.json", json.dumps(config))
        content.writestr("model.weights.h5", weights)
    with pytest.raises(ValueError, match="it has no weights layers/embedding_2/vars"):
        read(tmp_path)
