"""The tutorial's Transformer computes here what it computes in PyTorch."""

import collections
import pickle

import numpy as np
import pytest
import tensorflow as tf

from keras_attention import cli, load
from keras_attention.importers.pickles import Record, read_pickle
from keras_attention.tasks import TextToText

torch = pytest.importorskip("torch", reason="models are compared with those of torch")

from tests.importers import tutorial  # noqa: E402  needs it

SOURCES = ["C[C@H](Cl)Br", "c1cc[nH]c1", "C", "O=C(Cl)C%12CC%12[Si]", "C/C=C/CNCC(=O)O" * 3]
TOKENS = [
    ["C", "[C@H]", "(", "Cl", ")", "Br"],
    ["c", "1", "c", "c", "[nH]", "c", "1"],
    ["C"],
    ["O", "=", "C", "(", "Cl", ")", "C", "%12", "C", "C", "%12", "[Si]"],
    list("C/C=C/CNCC(=O)OC/"),
]
WORDS = [*tutorial.SPECIAL, "ein", "hund", "läuft", "."]


def read(folder, **options):
    return TextToText.from_pretrained(folder, architecture="tutorial-transformer", **options)


def assert_same_logits(task, model):
    """Of random ids, padding behind the shorter ones among them."""
    draw = np.random.default_rng(0)
    sizes = [len(model.source), len(model.target)]
    source, target = (draw.integers(4, size, (3, length)) for size, length in zip(sizes, (7, 5), strict=True))
    source[0, 4:] = model.source.index("<pad>")
    target[:, 0] = model.target.index("<sos>")
    with torch.no_grad():
        expected = model(torch.tensor(source), torch.tensor(target)).numpy()
    special = {"<pad>": 0, "<unk>": 1, "<sos>": 2, "<eos>": 3}
    orders = []
    for tokenizer, tokens in ((task.source_tokenizer, model.source), (task.target_tokenizer, model.target)):
        known = {token: index for index, token in enumerate(tokenizer.vocabulary.tokens)} | special
        orders.append(np.array([known[token] for token in tokens]))
    logits = task.model({"source": orders[0][source], "target": orders[1][target]})
    np.testing.assert_allclose(tf.gather(logits, orders[1], axis=-1), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("target", "form", "sizes", "options"),
    [
        (tutorial.ATOMS, ".pt", {}, {}),
        (tutorial.ATOMS, ".safetensors", {"heads": 3, "layers": (1, 2)}, {"num_heads": 3}),
        (WORDS, ".pt", {"length": (18, 23)}, {}),
    ],
    ids=["one vocabulary", "safetensors and three heads", "two vocabularies"],
)
def test_logits_are_those_of_the_tutorial(tmp_path, target, form, sizes, options):
    model = tutorial.saved(tmp_path, target=target, form=form, **sizes)
    assert_same_logits(read(tmp_path, **options), model)


def test_greedy_search_finds_the_same_tokens_and_so_does_the_export(tmp_path, unchecked):
    model = tutorial.saved(tmp_path)
    task = read(tmp_path)
    found = task(SOURCES)
    assert [conversion.source_tokens[1:-1] for conversion in found[:4]] == TOKENS[:4]
    assert [len(found[4].source_tokens), found[4].source_tokens[-1]] == [17, "[END]"]  # of so many positions
    kept = [*TOKENS[:4], found[4].source_tokens[1:-1]]
    expected = [model.greedy(tokens, 16) for tokens in kept]
    assert len({*map(tuple, expected)}) > 2 and min(map(len, expected)) < 16
    assert [[token.replace("[UNKNOWN]", "<unk>") for token in conversion.tokens] for conversion in found] == expected
    texts = ["".join(token for token in tokens if token != "<unk>") for tokens in expected]
    assert [conversion.text for conversion in found] == texts
    exported = load(task.export(tmp_path / "model"))
    assert [conversion.text for conversion in exported(SOURCES)] == texts


def test_words_are_divided_by_spaces_and_joined_by_them(tmp_path):
    model = tutorial.saved(tmp_path, source=WORDS, target=WORDS)
    task = read(tmp_path, tokens="words", lower=True)
    conversion = task("  Ein HUND  läuft .")
    assert conversion.source_tokens == ["[START]", "ein", "hund", "läuft", ".", "[END]"]
    expected = model.greedy(["ein", "hund", "läuft", "."], 16)
    assert conversion.text == " ".join(token for token in expected if token != "<unk>")


def test_a_run_of_it_is_translated_with_and_trained_further(tmp_path, capsys):
    tutorial.saved(tmp_path)
    run, pair = tmp_path / "run", [str(tmp_path / "sources"), str(tmp_path / "targets")]
    command = ["import", "tutorial-transformer", tmp_path, "--run", run, "--option", "num_beams=2"]
    assert cli.main(list(map(str, command))) == 0
    assert "decoded by NormalizedBeam" in capsys.readouterr().out
    (tmp_path / "sources").write_text("CC\nc1cc[nH]c1\n")
    (tmp_path / "targets").write_text("CCO\nCl\n")
    assert cli.main(["translate", "--model", str(run), pair[0]]) == 0
    expected = [conversion.text for conversion in read(tmp_path, num_beams=2)(["CC", "c1cc[nH]c1"])]
    assert capsys.readouterr().out.splitlines() == expected
    before = sum(score.log_prob for score in load(run).score([("CC", "CCO"), ("c1cc[nH]c1", "Cl")]))
    train = ["train", "translation", "--from", str(run), "--source", pair[0], "--target", pair[1]]
    train += ["--validation-source", pair[0], "--validation-target", pair[1], "--updates", "4", "--round-updates", "4"]
    assert cli.main([*train, "--warmup", "1", "--learning-rate", "0.01", "--run", str(tmp_path / "tuned")]) == 0
    after = sum(score.log_prob for score in load(tmp_path / "tuned").score([("CC", "CCO"), ("c1cc[nH]c1", "Cl")]))
    assert after > before


def test_bad_folders_are_refused_by_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no config.json. Name the architecture .* 'tutorial-transformer'"):
        TextToText.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no \*.pt or .*\*.safetensors. It holds nothing"):
        read(tmp_path)
    model = tutorial.saved(tmp_path)
    (tmp_path / "vocabulary.pkl").rename(tmp_path / "vocabulary.txt")
    with pytest.raises(FileNotFoundError, match=r"has no \*.pkl or \*.pickle. It holds best.pt, vocabulary.txt"):
        read(tmp_path)
    vocabulary = tmp_path / "vocabulary.pkl"
    for content, message in (
        ({"itos": tutorial.ATOMS[:-1]}, "has 18 tokens, and the model's embedding 19 rows"),
        ({"itos": [*tutorial.ATOMS[1:], "F"]}, "It lacks <unk>"),
        ({"stoi": {}}, "must hold `itos`"),
        (3, "must hold `itos`"),
    ):
        vocabulary.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=message):
            read(tmp_path)
    vocabulary.write_bytes(pickle.dumps(tutorial.ATOMS))  # a list will do
    for options, message in (
        ({"tokens": "bytes"}, "tokens must be one of smiles, characters, words. Received 'bytes'"),
        ({"num_heads": 7}, "num_heads must divide the width of the model, 24. Received 7"),
        ({"source_language": "de"}, "knows no languages"),
        ({"beams": 3}, "beams is not supported"),
    ):
        with pytest.raises(ValueError, match=message):
            read(tmp_path, **options)
    weights = model.state_dict()
    for changed, message in (
        ({name: weight for name, weight in weights.items() if "fc_out" not in name}, "no weight decoder.fc_out.weight"),
        (
            {name: weight for name, weight in weights.items() if "0.self_attention.fc_k" not in name},
            r"self_attention.fc_k",
        ),
        (weights | {"encoder.norm.weight": torch.ones(2)}, "no place for: encoder.norm.weight"),
        ({"state_dict": weights}, "must hold weights alone"),
        (model, "must hold weights alone"),
    ):
        torch.save(changed, tmp_path / "best.pt")
        with pytest.raises(ValueError, match=message):
            read(tmp_path)
    (tmp_path / "last.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"must have one \*.pt or .* It has best.pt, last.pt"):
        read(tmp_path)


class Vocab:
    """Of others: what it is read as has its attributes alone."""


RAN = []


def run(*things):
    RAN.append(things)


class Hostile:
    def __reduce__(self):
        return run, (1,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_read_without_running_anything(tmp_path, protocol):
    vocabulary = Vocab()
    vocabulary.itos, vocabulary.freqs = ["a", "b"], collections.Counter("aab")
    vocabulary.stoi = collections.defaultdict(run, a=0, b=1)
    vocabulary.order = collections.OrderedDict(b=2, a=1)
    (tmp_path / "file").write_bytes(pickle.dumps([vocabulary, Hostile(), print], protocol))
    read, hostile, function = read_pickle(tmp_path / "file")
    assert isinstance(read, Record) and isinstance(hostile, Record) and issubclass(function, Record)
    expected = {"itos": ["a", "b"], "freqs": {"a": 2, "b": 1}, "stoi": {"a": 0, "b": 1}, "order": {"b": 2, "a": 1}}
    assert vars(read) == expected
    assert not RAN


def test_a_broken_pickle_is_refused(tmp_path):
    for content in (b"", b"no pickle", pickle.dumps(tutorial.ATOMS)[:-9]):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ValueError, match="must be a pickle of plain data"):
            read_pickle(tmp_path / "file")
