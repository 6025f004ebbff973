"""Published models compute here what they compute in `transformers`: tokens, logits, results and scores."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_attention import cli, load
from keras_attention.decoding import Greedy, NormalizedBeam, Rules, Sample
from keras_attention.importers import IMPORTERS
from keras_attention.importers.generation import generation_of
from keras_attention.settings import ARCHITECTURES
from keras_attention.tasks import TextToText

transformers = pytest.importorskip("transformers", reason="models are compared with those of transformers")
torch = pytest.importorskip("torch", reason="models are compared with those of transformers")

from tests.importers import models  # noqa: E402  needs both

SOURCES = [
    "the small cat sees us.",
    "Über den Wolken läuft mit dem Kind, and 日本",
    "two",
    "a green house eats the sea, slowly. two birds sing to the old man",
]


@pytest.fixture(scope="module")
def marian(tmp_path_factory):
    folder = tmp_path_factory.mktemp("marian")
    return folder, *models.marian(folder)


def assert_same_results(task, model, tokenizer, sources=SOURCES, **generation):
    """Token for token, and scores, of what `transformers` generates."""
    batch = tokenizer(sources, return_tensors="pt", padding=True)
    expected = model.generate(**batch, **generation, return_dict_in_generate=True, output_scores=True)
    found = task.convert_batch([source.encode() for source in sources])
    special = {"</s>", "<pad>"}
    for row, ids in enumerate(expected.sequences[:, 1:]):
        tokens = [token for token in tokenizer.convert_ids_to_tokens(ids) if token not in special]
        ours = [token.decode().replace("[UNKNOWN]", "<unk>") for token in found["tokens"][row] if token]
        assert ours == tokens
    if isinstance(task.strategy, NormalizedBeam):
        cut = task.strategy.rules.limit == "cut"
        lengths = np.sum(found["tokens"] != b"", axis=1) + np.where(found["finished"] | (not cut), 1, 0)
        scores = found["log_prob"] / lengths**task.strategy.length_penalty
        np.testing.assert_allclose(scores, expected.sequences_scores.numpy(), atol=1e-5)
    return expected


def assert_same_tokens(task, tokenizer, sources):
    for ours, theirs in zip(tokens_of(task, sources), tokenizer(sources)["input_ids"], strict=True):
        assert ours == tokenizer.convert_ids_to_tokens(theirs)


def tokens_of(task, sources):
    """Of the source, as the model reads them: a piece without an id is unknown."""
    names = ["<pad>", "<unk>", "<s>", "</s>", *task.source_tokenizer.vocabulary.tokens[4:]]
    return [[names[index] for index in row] for row in task.source_tokenizer.encode(tf.constant(sources)).to_list()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 1, "repetition_penalty": 1.7, "no_repeat_ngram_size": 2},
        {"repetition_penalty": 1.5, "early_stopping": True, "length_penalty": 0.6},
        {"no_repeat_ngram_size": 2, "early_stopping": "never", "num_beams": 3, "renormalize_logits": True},
        {"min_length": 9, "eos_token_id": [0, 7, 9], "suppress_tokens": [5, 6, 8]},
        {"forced_eos_token_id": None, "forced_bos_token_id": 12, "begin_suppress_tokens": [0]},
    ],
    ids=lambda options: ", ".join(options) or "as published",
)
def test_marian_decodes_as_transformers_does(marian, options):
    folder, model, tokenizer = marian
    task = TextToText.from_pretrained(folder, **options)
    kept = model.generation_config
    model.generation_config = transformers.GenerationConfig(**(kept.to_dict() | options))
    try:
        assert_same_results(task, model, tokenizer)
    finally:
        model.generation_config = kept


def test_the_results_are_the_texts_of_transformers_and_so_are_those_of_the_export(marian, tmp_path, unchecked):
    folder, model, tokenizer = marian
    sources = [f">>fra<< {source}" for source in SOURCES[:3]]
    task = TextToText.from_pretrained(folder)
    ids = assert_same_results(task, model, tokenizer, sources).sequences
    expected = tokenizer.batch_decode(ids, skip_special_tokens=True)
    assert [result.text for result in task(sources)] == expected
    told = TextToText.from_pretrained(folder, target_language="fra")
    assert [result.text for result in told(SOURCES[:3])] == expected
    assert [result.text for result in load(task.export(tmp_path / "model"))(sources)] == expected


@pytest.mark.parametrize(
    "config", [{}, {"separate": True}, {"tie_word_embeddings": False}, {"activation_function": "gelu", "safe": False}]
)
def test_logits_are_those_of_transformers(tmp_path, config):
    config = {"activation_function": "swish"} | config
    activation = config.pop("activation_function")
    model, tokenizer = models.marian(tmp_path, **config)
    if activation != "swish":
        model.config.activation_function = activation
        settings = json.loads((tmp_path / "config.json").read_text()) | {"activation_function": activation}
        (tmp_path / "config.json").write_text(json.dumps(settings))
        reference = transformers.MarianMTModel(model.config).eval()
        reference.load_state_dict(model.state_dict())
        model = reference
    task = TextToText.from_pretrained(tmp_path)
    assert_same_tokens(task, tokenizer, SOURCES)
    targets = np.random.default_rng(0).integers(2, model.config.decoder_vocab_size - 3, (4, 7))
    targets[:, 0] = model.config.decoder_start_token_id
    with torch.no_grad():
        batch = tokenizer(SOURCES, return_tensors="pt", padding=True)
        expected = model(**batch, decoder_input_ids=torch.tensor(targets)).logits.numpy()
    name = "target_vocab.json" if config.get("separate") else "vocab.json"
    special = {"<pad>": 0, "<unk>": 1, "</s>": 3}
    known = {token: index for index, token in enumerate(task.target_tokenizer.vocabulary.tokens)} | special
    vocabulary = json.loads((tmp_path / name).read_text())
    order = np.array([known[token] for token in sorted(vocabulary, key=vocabulary.get)])
    ours = order[targets]
    ours[:, 0] = 2
    source = task.source_tokenizer.encode(tf.constant(SOURCES)).to_tensor(0)
    logits = task.model({"source": source, "target": tf.constant(ours)}).numpy()
    np.testing.assert_allclose(logits[..., order], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "arguments", "languages"),
    [
        ("m2m100", {}, ("en", "de", "__de__")),
        ("nllb", {}, ("eng_Latn", "deu_Latn", "deu_Latn")),
        ("nllb", {"legacy": True}, ("eng_Latn", "deu_Latn", "deu_Latn")),
        ("mbart", {}, ("en_XX", None, None)),
        ("mbart", {"fifty": True}, ("en_XX", "de_DE", "de_DE")),
    ],
    ids=["M2M100", "NLLB", "NLLB, legacy", "mBART", "mBART-50"],
)
def test_models_of_many_languages_decode_as_transformers_does(tmp_path, kind, arguments, languages):
    model, tokenizer = getattr(models, kind)(tmp_path, **arguments)
    source, target, code = languages
    task = TextToText.from_pretrained(tmp_path, source, target, architecture=kind)
    assert_same_tokens(task, tokenizer, SOURCES)
    forced = {} if code is None else {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(code)}
    if code is None:  # the decoder begins with the language, which is no part of the result
        model.generation_config.decoder_start_token_id = tokenizer.convert_tokens_to_ids("de_DE")
    assert_same_results(task, model, tokenizer, **forced)


def test_a_thousand_sentences_of_several_scripts_are_cut_as_transformers_does(marian):
    folder, _, tokenizer = marian
    words = [word for text in models.TEXTS for word in text.split()]
    words += ["日本語", "Привет", "مرحبا", "नमस्ते", "  ", "e\u0301", "ﬁn", "１２", "🐈", "a\u200bb", "don't", "\u2581x"]  # noqa: RUF001
    draw = np.random.default_rng(1)
    sources = [" ".join(draw.choice(words, draw.integers(1, 12))) for _ in range(1000)]
    sources = [f">>fra<< {source}" if index % 3 == 0 else source for index, source in enumerate(sources)]
    task = TextToText.from_pretrained(folder, num_beams=1)
    theirs = [tokenizer.convert_ids_to_tokens(ids) for ids in tokenizer(sources)["input_ids"]]
    ours = tokens_of(task, sources)
    some = [row for row in range(1000) if sources[row].strip()]
    assert [ours[row] for row in some] == [theirs[row] for row in some]


def test_a_run_of_it_translates_scores_and_is_trained_further(marian, tmp_path, capsys):
    folder = marian[0]
    run = tmp_path / "run"
    command = ["import", "marian", folder, "--run", run, "--option", "num_beams=1", "--option", "max_length=9"]
    assert cli.main(list(map(str, command))) == 0
    assert "decoded by Greedy" in capsys.readouterr().out
    (tmp_path / "en").write_text("the small cat\ntwo birds\n")
    (tmp_path / "de").write_text("Der Hund\nmir\n")
    pair = [str(tmp_path / "en"), str(tmp_path / "de")]
    aligned = tmp_path / "aligned.txt"
    arguments = ["--model", str(run), pair[0], "--json", "--alignments", str(aligned)]
    assert cli.main(["translate", *arguments]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    lines = aligned.read_text().splitlines()
    for record, line in zip(records, lines, strict=True):
        places = [tuple(map(int, each.split("-"))) for each in line.split()]
        assert [target for _, target in places] == list(range(len(record["tokens"])))
        assert all(source < len(record["source_tokens"]) for source, _ in places)
    assert cli.main(["score", "--model", str(run), *pair]) == 0
    before = list(map(float, capsys.readouterr().out.split()))
    train = ["train", "translation", "--from", str(run), "--source", pair[0], "--target", pair[1]]
    train += ["--validation-source", pair[0], "--validation-target", pair[1], "--updates", "4", "--round-updates", "4"]
    assert cli.main([*train, "--warmup", "1", "--learning-rate", "0.01", "--run", str(tmp_path / "tuned")]) == 0
    assert cli.main(["score", "--model", str(tmp_path / "tuned"), *pair]) == 0
    after = list(map(float, capsys.readouterr().out.split()[-2:]))
    assert sum(after) > sum(before)
    tuned = TextToText.load(tmp_path / "tuned")
    assert tuned.strategy == TextToText.load(run).strategy and tuned.max_length == 7
    assert cli.main([*train, "--units", "8"]) == 1
    assert "--units cannot be given" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["marian", "m2m100", "mbart"])
def test_ctranslate2_finds_the_same_tokens(kind, tmp_path, capsys):
    ctranslate2 = pytest.importorskip("ctranslate2", reason="an engine to export to")
    folder = tmp_path / "published"
    folder.mkdir()
    getattr(models, kind)(folder)
    languages = {"m2m100": ("en", "de"), "mbart": ("en_XX", None)}.get(kind, (None, None))
    task = TextToText.from_pretrained(folder, *languages, num_beams=1)
    task.save(tmp_path / "run")
    export = ["export", str(tmp_path / "run"), "--format", "ctranslate2"]
    assert cli.main([*export, str(tmp_path / "ct2")]) == 0
    assert "Exported and checked" in capsys.readouterr().out
    assert cli.main([*export, str(tmp_path / "small"), "--quantization", "int8"]) == 0
    assert (tmp_path / "small" / "model.bin").stat().st_size < 0.8 * (tmp_path / "ct2" / "model.bin").stat().st_size
    translator = ctranslate2.Translator(str(tmp_path / "ct2"), compute_type="float32")
    plain = task.with_strategy(Greedy())
    for source in SOURCES:
        expected = plain(source)
        found = translator.translate_batch(
            [expected.source_tokens],
            beam_size=1,
            min_decoding_length=0,
            max_decoding_length=task.max_length,
            suppress_sequences=[["[PAD]"], ["[START]"]],
        )
        assert found[0].hypotheses[0] == expected.tokens


def test_bad_folders_are_refused_by_what_is_wrong(marian, tmp_path):
    folder = marian[0]
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        TextToText.from_pretrained(tmp_path / "nothing")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"model_type in config.json must be one of 'marian'.* Received None"):
        TextToText.from_pretrained(tmp_path)
    config = json.loads((folder / "config.json").read_text())

    def with_config(**changes):
        (tmp_path / "config.json").write_text(json.dumps(config | changes))
        return TextToText.from_pretrained(tmp_path)

    with pytest.raises(FileNotFoundError, match=r"has no vocab.json. It holds config.json"):
        with_config()
    (tmp_path / "vocab.json").write_text((folder / "vocab.json").read_text())
    with pytest.raises(FileNotFoundError, match=r"has no model.safetensors or .* or pytorch_model.bin"):
        with_config()
    with pytest.raises(ValueError, match="normalize_before=True is not supported"):
        with_config(normalize_before=True)
    with pytest.raises(ValueError, match=r"has id (\d+) for '<pad>', and the model \1 ids"):
        with_config(vocab_size=config["vocab_size"] - 1)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"activation_function='mish' is not supported. Supported are relu"):
        with_config(activation_function="mish")
    with pytest.raises(ValueError, match=r"has no place for: model.encoder.layers.1"):
        with_config(encoder_layers=1)
    with pytest.raises(ValueError, match=r"has no weight model.encoder.layers.2"):
        with_config(encoder_layers=3)
    with pytest.raises(ValueError, match=r"target_language='eng'. It knows deu, fra"):
        TextToText.from_pretrained(folder, target_language="eng")
    with pytest.raises(ValueError, match="needs no source language"):
        TextToText.from_pretrained(folder, source_language="eng")
    with pytest.raises(ValueError, match=r"must be 'mbart'. Received 'marian'"):
        TextToText.from_pretrained(folder, architecture="mbart")


def test_a_long_source_is_cut_before_its_end_as_transformers_does(marian):
    folder, _, tokenizer = marian
    task = TextToText.from_pretrained(folder, target_language="fra")
    task.max_source_length = 9
    sources = ["two", "the small cat sees the old man."]
    found = task.convert_batch([source.encode() for source in sources])
    tokens = [[token.decode() for token in row if token] for row in found["source_tokens"]]
    batch = tokenizer([f">>fra<< {source}" for source in sources], truncation=True, max_length=9)
    expected = [tokenizer.convert_ids_to_tokens(ids) for ids in batch["input_ids"]]
    assert [len(row) for row in tokens] == [len(row) for row in expected] and max(map(len, tokens)) == 9
    assert all(row[-1] == "[END]" for row in tokens)
    assert [row[:-1] for row in tokens] == [row[:-1] for row in expected]


def test_every_importer_has_its_name_on_the_command_line():
    assert set(IMPORTERS) == set(ARCHITECTURES)


def test_a_decoding_option_is_honoured_or_refused_by_its_name():
    class Config:  # of a folder
        config = {"eos_token_id": 0}  # noqa: RUF012

        def __init__(self, generation):
            self.generation_config, self.has = lambda: generation, lambda name: True

    def of(**config):
        return generation_of(Config(config), lambda index: index + 100 if index else 3)

    assert of(num_beams=1, max_length=10).strategy == Greedy(Rules(limit="cut"))
    assert of(max_length=10).max_length == 9 and of(max_length=10, forced_eos_token_id=0).max_length == 8
    assert of(max_new_tokens=10, max_length=99).max_length == 10
    sample = of(do_sample=True, temperature=0.5, top_p=0.9).strategy
    assert sample == Sample(0.5, 50, 0.9, rules=Rules(limit="cut"))
    assert of(min_new_tokens=3, min_length=2).strategy.rules.min_length == 3
    assert of(bad_words_ids=[[4], [5]], suppress_tokens=[6]).strategy.rules.barred == (104, 105, 106)
    assert of(num_beams=3, num_return_sequences=2).strategy.n_best == 2
    assert of(eos_token_id=[7, 0]).strategy.rules.more_ends == (107,)
    for config, name in (
        ({"num_return_sequences": 2}, "num_return_sequences above 1"),
        ({"max_time": 2.0}, "max_time=2.0"),
        ({"eos_token_id": 7}, "must hold the one of config.json"),
        ({"num_beam_groups": 2}, "num_beam_groups=2"),
        ({"something_new": 3}, "something_new"),
        ({"bad_words_ids": [[4, 5]]}, "more than one token"),
        ({"do_sample": True, "num_beams": 2}, "do_sample with num_beams"),
        ({"forced_eos_token_id": 4, "eos_token_id": 0}, "forced_eos_token_id=4"),
    ):
        with pytest.raises(ValueError, match=name):
            of(**config)
