"""From two files to translations: vocabulary, training, a kill, decoding, scores, an export."""

import inspect
import io
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_attention import (
    Beam,
    GNMTTranslator,
    Greedy,
    RecurrentTranslator,
    Sample,
    TransformerTranslator,
    cli,
    load,
)
from keras_attention.bleu import corpus_scores
from keras_attention.cli import translation
from keras_attention.layers.bridge import BRIDGES
from keras_attention.layers.feed_forward import NORMS
from keras_attention.layers.gnmt_cell import CONTEXTS
from keras_attention.layers.recurrent import RECURRENT_CELLS
from keras_attention.models.recurrent.translators import RECURRENT_OPTIONS
from keras_attention.models.transformer.stack import POSITIONS, STACK_OPTIONS
from keras_attention.models.transformer.translator import TIES
from keras_attention.recipes import TRANSLATORS, make_translator, train_translator
from keras_attention.tasks import TextToText
from keras_attention.text import SentencePieceTokenizer, subwords_of_file

NOUNS = {"dog": "Hund", "cat": "Katze", "child": "Kind", "horse": "Pferd", "bird": "Vogel"}
VERBS = {"sees": "sieht", "hears": "hört", "likes": "mag"}
PAIRS = [
    (f"the {first} {verb} the {second} .", f"{NOUNS[second]} : {NOUNS[first]} {VERBS[verb]} .")
    for first in NOUNS
    for verb in VERBS
    for second in NOUNS
    if first != second
]
FLAGS = ["--units", "16", "--layers", "1", "--num-heads", "2", "--feed-forward-units", "32", "--dropout", "0"]
FLAGS += ["--tokens", "256", "--warmup", "40", "--learning-rate", "0.01", "--average", "2", "--vocabulary-size", "330"]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "en").write_text("".join(f"{source}\n" for source, _ in PAIRS), encoding="utf-8")
    (folder / "de").write_text("".join(f"{target}\n" for _, target in PAIRS), encoding="utf-8")
    return folder


def train_command(corpus, run, *more):
    files = ["--source", corpus / "en", "--target", corpus / "de"]
    files += ["--validation-source", corpus / "en", "--validation-target", corpus / "de"]
    return ["train", "translation", *map(str, files), "--run", str(run), *FLAGS, *map(str, more)]


@pytest.fixture(scope="session")
def run(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation") / "run"
    assert cli.main(train_command(corpus, folder, "--updates", 240, "--round-updates", 40)) == 0
    return folder


@pytest.fixture(scope="session")
def converter(run):
    return load(run)


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation") / "export"
    arguments = ["--beam", "3", "--n-best", "2", "--length-penalty", "0.6", "--coverage-penalty", "0.1"]
    assert cli.main(["export", str(run), str(folder), *arguments, "--head-weights"]) == 0
    return folder


def test_translator_learns_a_small_language(converter):
    assert converter.evaluate(PAIRS).exact_match > 0.95


def test_weights_are_the_mean_of_those_of_the_heads(run, converter):
    (conversion,) = TextToText.load(run, Beam(3), head_weights=True)([PAIRS[0][0]])
    assert conversion.head_weights.shape == (1, 2, len(conversion.tokens), len(conversion.source_tokens))
    np.testing.assert_allclose(conversion.head_weights.mean((0, 1)), conversion.weights, atol=1e-6)
    np.testing.assert_allclose(conversion.weights.sum(-1), 1.0, atol=1e-5)


def test_prefix_is_kept(converter):
    forced = converter([PAIRS[0][0], PAIRS[1][0]], prefix="Vogel")
    assert [conversion.text.split()[0] for conversion in forced] == ["Vogel", "Vogel"]
    free, other = converter([PAIRS[0][0], PAIRS[1][0]], prefix=["", "Kind"])
    assert free.text == PAIRS[0][1]
    assert other.text.split()[0] == "Kind"


def test_one_prefix_for_each_text_or_one_for_all(converter):
    with pytest.raises(ValueError, match=r"one for each of the 2 texts\. Received 3"):
        converter(["a", "b"], prefix=["a", "b", "c"])


def test_order_of_the_lines_stays_whatever_their_lengths(converter):
    sources = [source for source, _ in PAIRS[:7]]
    sources[3] += " the dog sees the cat ."
    alone = [converter(source).text for source in sources]
    assert [conversion.text for conversion in converter(sources, batch_size=2)] == alone


def test_empty_lines_stay_empty_and_in_their_place(corpus, run, tmp_path, capsys):
    (tmp_path / "in").write_text(f"\n{PAIRS[0][0]}\n   \n{PAIRS[1][0]}\n", encoding="utf-8")
    assert cli.main(["translate", "--model", str(run), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text(encoding="utf-8").split("\n") == ["", PAIRS[0][1], "", PAIRS[1][1], ""]


def test_long_line_is_cut_with_a_warning_or_refused(run, tmp_path, capfd):
    (tmp_path / "in").write_text(f"{PAIRS[0][0]}\n{'the dog ' * 200}\n", encoding="utf-8")
    arguments = ["translate", "--model", str(run), str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    assert "line 2 is longer than the 256 tokens" in capfd.readouterr().err
    assert len((tmp_path / "out").read_text(encoding="utf-8").splitlines()) == 2
    (tmp_path / "out").unlink()
    assert cli.main([*arguments, "--long", "refuse"]) == 1
    assert "line 2 is longer than the 256 tokens" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_standard_input_is_translated_and_what_is_not_utf_8_is_named(exported, capfd, monkeypatch):
    command = [sys.executable, "-m", "keras_attention", "translate", "--model", str(exported)]
    done = subprocess.run(command, input=PAIRS[5][0].encode() + b"\r\n\n", capture_output=True, check=True)
    assert done.stdout.decode().split("\n") == [PAIRS[5][1], "", ""]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n\xff\n")))
    assert cli.main(["translate", "--model", str(exported)]) == 1
    assert "standard input, line 2: not UTF-8" in capfd.readouterr().err


def test_n_best_and_log_probabilities_are_printed(run, tmp_path):
    (tmp_path / "in").write_text(PAIRS[0][0], encoding="utf-8")
    arguments = ["translate", "--model", str(run), str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert cli.main([*arguments, "--n-best", "3", "--log-prob"]) == 0
    lines = [line.split("\t") for line in (tmp_path / "out").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 3
    assert lines[0][1] == PAIRS[0][1]
    assert float(lines[0][0]) > float(lines[1][0])


def test_export_answers_as_the_run_does_with_the_weights_of_each_head(run, exported):
    expected = TextToText.load(run, Beam(3, length_penalty=0.6, coverage_penalty=0.1, n_best=2), head_weights=True)
    sources = [PAIRS[0][0], "", PAIRS[9][0] + " 😀"]
    for one, other in zip(expected(sources), load(exported)(sources), strict=True):
        assert one.text == other.text
        np.testing.assert_allclose(one.head_weights, other.head_weights, atol=1e-4)
        assert [text for text, _ in one.n_best] == [text for text, _ in other.n_best]


def test_export_carries_the_vocabulary_as_an_asset(exported):
    names = {file.name for file in (exported / "1" / "assets").iterdir()}
    assert {"source.sentencepiece", "target.sentencepiece"} <= names


def test_search_of_an_export_is_fixed(exported):
    with pytest.raises(ValueError, match="the search of an export is fixed"):
        load(exported, Greedy())


def test_what_is_drawn_cannot_be_exported(run, tmp_path):
    with pytest.raises(ValueError, match="cannot be checked"):
        TextToText.load(run, Sample()).export(tmp_path)


def test_scores_are_printed_with_their_signatures(corpus, exported, capsys):
    assert cli.main(["evaluate", "--model", str(exported), str(corpus / "en"), str(corpus / "de"), "--tokenized"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"BLEU = 9\d\.|BLEU = 100\.", out)
    assert "tok:none" in out
    assert "chrF2 = " in out
    assert cli.main(["evaluate", "--model", str(exported), str(corpus / "en"), str(corpus / "de")]) == 0
    assert "tok:13a" in capsys.readouterr().out


def test_vocabulary_is_trained_and_used(corpus, tmp_path, capsys, eagerly):
    file = tmp_path / "joint.sentencepiece"
    assert cli.main(["vocabulary", str(corpus / "en"), str(corpus / "de"), "--size", "340", "--output", str(file)]) == 0
    assert "340 ids from 120 lines" in capsys.readouterr().out
    assert len(SentencePieceTokenizer.of_file(file).vocabulary) == 340
    more = ["--updates", 2, "--round-updates", 1, "--vocabulary", file, "--model", "bahdanau", "--ema", 0.9]
    recurrent = [flag for flag in train_command(corpus, tmp_path / "run", *more)]
    for name in ("--num-heads", "--feed-forward-units"):
        place = recurrent.index(name)
        del recurrent[place : place + 2]
    assert cli.main(recurrent) == 0
    assert len(load(tmp_path / "run").source_tokenizer.vocabulary) == 340


def test_subwords_of_another_kind_and_their_dropout(corpus, tmp_path, capsys, eagerly):
    file = tmp_path / "joint"
    files = [str(corpus / "en"), str(corpus / "de")]
    assert cli.main(["vocabulary", *files, "--subwords", "wordpiece", "--size", "90", "--output", str(file)]) == 0
    more = ["--updates", 1, "--round-updates", 1]
    assert cli.main(train_command(corpus, tmp_path / "pieces", *more, "--vocabulary", file)) == 0
    translator = load(tmp_path / "pieces")
    assert translator.source_tokenizer.name == "wordpiece"
    assert translator.target_tokenizer.vocabulary.tokens == subwords_of_file(file).vocabulary.tokens
    assert cli.main(train_command(corpus, tmp_path / "trained", *more, "--subwords", "wordpiece")) == 0
    assert load(tmp_path / "trained").source_tokenizer.name == "wordpiece"
    assert cli.main(train_command(corpus, tmp_path / "dropout", *more, "--subword-dropout", 0.2)) == 0
    capsys.readouterr()
    assert cli.main(train_command(corpus, tmp_path / "no", *more, "--subword-dropout", 0.2, "--vocabulary", file)) == 1
    assert "needs a tokenizer that has `sample`" in capsys.readouterr().err


@pytest.mark.parametrize(("precision", "optimizer"), [("mixed_float16", "muon"), ("mixed_bfloat16", "adam")])
def test_mixed_precision_curves_and_bleu_in_training(corpus, tmp_path, precision, optimizer, request):
    if optimizer == "adam":  # the other, which scales its loss, is held to a graph
        request.getfixturevalue("eagerly")
    more = ["--updates", 2, "--round-updates", 1, "--bleu", "--tensorboard", tmp_path / "curves"]
    more += ["--optimizer", optimizer, "--cooldown", 1]
    assert cli.main(train_command(corpus, tmp_path / "run", *more, "--precision", precision)) == 0
    rows = [json.loads(line) for line in (tmp_path / "run/checkpoints/history.jsonl").read_text().splitlines()]
    assert [row["updates"] for row in rows] == [1, 2]
    assert all({"loss", "val_loss", "val_bleu", "tokens/s"} <= row.keys() for row in rows)
    assert list((tmp_path / "curves").rglob("events.*"))
    assert load(tmp_path / "run").model.compute_dtype == precision.removeprefix("mixed_")


def test_sizes_of_a_recurrent_model_are_flags(corpus, tmp_path, eagerly):
    arguments = ["--source", corpus / "en", "--target", corpus / "de", "--run", tmp_path / "run", "--updates", 1]
    arguments += ["--model", "luong", "--units", 8, "--encoder-units", 6, "--embedding-dim", 4, "--no-bidirectional"]
    arguments += ["--layers", 3, "--residual", "--bridge", "backward", "--cell", "lstm", "--vocabulary-size", 330]
    assert cli.main(["train", "translation", *map(str, arguments)]) == 0
    config = load(tmp_path / "run").model.get_config()
    assert [config[name] for name in ("units", "encoder_units", "embedding_dim", "layers")] == [8, 6, 4, 3]
    chosen = [config[name] for name in ("bidirectional", "residual", "bridge", "cell")]
    assert chosen == [False, True, "backward", "lstm"]


@pytest.mark.parametrize(("flag", "model"), [("--num-heads", "bahdanau"), ("--embedding-dim", "transformer")])
def test_flag_of_another_model_is_refused(capsys, flag, model):
    assert cli.main(["train", "translation", "--source", "none", "--model", model, flag, "2"]) == 1
    assert re.search(f"{flag} is for a .* model. Received it with --model {model}", capsys.readouterr().err)


OPTIONS = {TransformerTranslator: STACK_OPTIONS, RecurrentTranslator: set(RECURRENT_OPTIONS), GNMTTranslator: set()}
KINDS = {"transformer": TransformerTranslator, "recurrent": RecurrentTranslator, "gnmt": GNMTTranslator}


def test_flags_of_a_model_are_arguments_of_its_constructor():
    assert set(translation.MODELS) == set(TRANSLATORS)
    for kinds, flags in translation.MODEL_FLAGS.items():
        for kind, model in KINDS.items():
            if kind in kinds:
                assert set(flags) <= set(inspect.signature(model).parameters) | OPTIONS[model]
    settings = {name: flag for flags in translation.MODEL_FLAGS.values() for name, flag in flags.items()}
    choices = {name: set(flag["choices"]) for name, flag in settings.items() if "choices" in flag}
    known = {"norm": NORMS, "positions": POSITIONS, "tied": TIES, "cell": RECURRENT_CELLS, "bridge": BRIDGES}
    known["context"] = CONTEXTS
    known["cell"] = set(RECURRENT_CELLS) - {"feed_forward"}  # the controller of a machine, which alone has no memory
    assert choices == {name: {"none" if value is None else value for value in values} for name, values in known.items()}


def test_what_is_tied_and_the_attention_s_options_are_flags(corpus, tmp_path, capsys, eagerly):
    arguments = ["--source", corpus / "en", "--target", corpus / "de", "--updates", 1, "--vocabulary-size", 330]
    arguments += ["--units", 8, "--encoder-units", 4, "--embedding-dim", 4, "--model", "luong"]
    train = ["train", "translation", *map(str, arguments)]
    options = ["--attention-options", "score=dot", "input_feeding=false", "--tied", "none"]
    assert cli.main([*train, "--run", str(tmp_path / "run"), *options]) == 0
    model = load(tmp_path / "run").model
    assert model.attention_options == {"score": "dot", "input_feeding": False}
    assert (model.decoder.cell.score, model.decoder.cell.input_feeding, model.decoder.tied) == ("dot", False, False)
    assert cli.main([*train, "--run", str(tmp_path / "no"), "--attention-options", "wings=2"]) == 1
    assert "'wings'" in capsys.readouterr().err
    assert cli.main([*train, "--run", str(tmp_path / "no"), "--tied", "all"]) == 1
    assert "--tied all is for a transformer model; a recurrent one has target or none" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main([*train, "--run", str(tmp_path / "no"), "--attention-options", "score"])
    assert "must be NAME=VALUE, such as score=dot, received 'score'" in capsys.readouterr().err


def test_three_embeddings_are_none_that_are_tied(corpus, tmp_path, eagerly):
    assert cli.main(train_command(corpus, tmp_path / "run", "--updates", 1, "--tied", "none")) == 0
    assert load(tmp_path / "run").model.tied is None


@pytest.mark.parametrize("flag", ["--updates", "--round-updates", "--average"])
def test_number_that_must_be_positive_is_refused(flag, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "translation", "--source", "none", flag, "0"])
    assert f"argument {flag}: must be at least 1, received 0" in capsys.readouterr().err


def test_unknown_setting_is_refused(converter, tmp_path):
    with pytest.raises(TypeError, match=r"it has updates, tokens, .* seed. Received epochs"):
        train_translator(converter.model, PAIRS, PAIRS, *2 * [converter.source_tokenizer], tmp_path / "run", epochs=3)
    assert not (tmp_path / "run").exists()


def test_unknown_optimizer_is_refused(converter, tmp_path):
    with pytest.raises(ValueError, match=r"optimizer must be 'adam' or 'muon'. Received 'sgd'"):
        train_translator(
            converter.model, PAIRS, PAIRS, *2 * [converter.source_tokenizer], tmp_path / "run", optimizer="sgd"
        )
    assert not (tmp_path / "run").exists()


def test_other_vocabulary_is_refused(corpus, run, tmp_path):
    other = SentencePieceTokenizer.train([text for pair in PAIRS for text in pair][::-1] + ["zzz"] * 99, 330)
    model = make_translator("transformer", "tiny", other, other, units=16, layers=1, num_heads=2)
    with pytest.raises(ValueError, match=r'source_vocabulary was "\d+ ids, \w+" and is "330 ids'):
        train_translator(model, PAIRS, PAIRS, other, other, run)
    (tmp_path / "saved").mkdir()
    load(run).save(tmp_path / "saved")
    other.save(tmp_path / "saved", "source")
    with pytest.raises(ValueError, match=r"source vocabulary in .* is not the one that the model was saved with"):
        load(tmp_path / "saved")


def test_checkpoint_of_other_sizes_is_refused(run, converter):
    tokenizer = converter.source_tokenizer
    model = make_translator("transformer", "tiny", tokenizer, tokenizer, units=24, layers=1, num_heads=2)
    with pytest.raises(ValueError, match="was begun with something else"):
        train_translator(model, PAIRS, PAIRS, tokenizer, tokenizer, run)


def test_loss_that_is_not_a_number_is_an_error_and_keeps_the_last_good_checkpoint(converter, tmp_path, eagerly):
    tokenizer = converter.source_tokenizer
    model = make_translator("transformer", "tiny", tokenizer, tokenizer, units=16, layers=1, num_heads=2, norm="post")
    with pytest.raises(FloatingPointError, match=r"in round 2\. The last good checkpoint is kept in"):
        train_translator(
            model, PAIRS, PAIRS, tokenizer, tokenizer, tmp_path, updates=4, round_updates=1, learning_rate=1e30,
            warmup=1, clip_norm=None, verbose=0,
        )  # fmt: skip
    with pytest.warns(UserWarning, match="has not ended; its best round so far, round 1, is used"):
        kept = load(tmp_path)
    assert all(np.isfinite(weight.numpy()).all() for weight in kept.model.weights)


EAGER = """
import sys, tensorflow as tf
from keras_attention.cli import main
tf.config.run_functions_eagerly(True)
main(sys.argv[1:])
"""


def test_training_that_is_killed_goes_on_and_ends_with_the_same_weights(corpus, tmp_path, eagerly):
    more = ["--updates", 6, "--round-updates", 2]
    cut = train_command(corpus, tmp_path / "cut", *more)
    command = [sys.executable, "-c", EAGER, *cut]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 300
    while not (tmp_path / "cut" / "checkpoints" / "round-00001.weights.h5").exists() and time.time() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    for arguments in (cut, train_command(corpus, tmp_path / "whole", *more)):
        assert cli.main(arguments) == 0
    expected, received = (load(tmp_path / name).model.get_weights() for name in ("whole", "cut"))
    for one, other in zip(expected, received, strict=True):
        np.testing.assert_array_equal(one, other)


def test_bleu_of_a_known_pair():
    # Four of five words, three of four pairs, two of three triples, one of two quadruples: the geometric mean.
    bleu, _ = corpus_scores(["a b c d x"], ["a b c d e"], tokenized=True)
    assert bleu.value == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25, abs=0.01)
    with pytest.raises(ValueError, match="as many hypotheses as references"):
        corpus_scores(["a"], [])
