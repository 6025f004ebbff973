"""The reader of dates: what stands before a text, what comes back, hints, files, exports and their optional inputs."""

import datetime
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_attention import DateReader, load
from keras_attention.data.world_dates import hint_of, locale_hints
from keras_attention.decoding import Greedy
from keras_attention.export.defaults import read_defaults
from keras_attention.models import DateConverter
from keras_attention.tasks.date_reader import VALID, _as_date
from keras_attention.text import CharacterTokenizer

DATE = re.compile(r"\d{4}-\d\d-\d\d")


def made(**arguments):
    """A reader that is not trained."""
    keras.utils.set_random_seed(0)
    sources = CharacterTokenizer.train(
        ["0123456789 abcdefghijklmnopqrstuvwxyz/-\ue000\ue001\ue002\ue003"], "NFKC_Casefold"
    )
    targets = CharacterTokenizer.train(["0123456789-?"])
    model = DateConverter(len(sources.vocabulary), len(targets.vocabulary), units=8)
    for weight in model.trainable_weights:  # so that a mark changes what is read
        weight.assign(weight + np.random.default_rng(1).normal(size=weight.shape))
    return DateReader(model, sources, targets, locale_hints(), **arguments)


@pytest.fixture(scope="module")
def reader():
    return made()


@pytest.fixture(scope="module")
def version(reader, tmp_path_factory):
    from keras_attention.export import saved_model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_model, "_check", lambda *arguments: None)
        return reader.export(tmp_path_factory.mktemp("dates") / "model")


def test_what_is_valid_is_every_date_and_no_other():
    for year in (1600, 1900, 2000, 2023, 2024, 2100):
        for month in range(14):
            for day in range(33):
                try:
                    datetime.date(year, month, day)
                    is_date = True
                except ValueError:
                    is_date = False
                assert VALID.allows(f"{year:04d}-{month:02d}-{day:02d}") == is_date
    allowed = {
        text: VALID.allows(text) for text in ("24-02-29", "23-02-29", "00-02-29", "?", "", "2024-3-5", "24-13-01")
    }
    assert [text for text, is_allowed in allowed.items() if is_allowed] == ["24-02-29", "00-02-29", "?"]


def test_whatever_is_read_a_date_or_nothing_comes_back(reader):
    readings = reader(["3 may 1979", "x", "", "99/99/99", "\ue000\ue001 5"])
    for reading in readings:
        for text, log_prob in reading.n_best:
            assert not text or (DATE.fullmatch(text) and datetime.date.fromisoformat(text))
            assert log_prob <= 0


@pytest.mark.parametrize(
    ("found", "first", "expected"),
    [
        ("2024-03-05", 1950, "2024-03-05"),
        ("24-03-05", 1950, "2024-03-05"),
        ("50-03-05", 1950, "1950-03-05"),
        ("49-03-05", 1950, "2049-03-05"),
        ("24-03-05", 1900, "1924-03-05"),
        ("00-02-29", 1950, "2000-02-29"),
        ("00-02-29", 1880, ""),  # 1900 was no leap year
        ("99-12-31", 2000, "2099-12-31"),
        ("?", 1950, ""),
    ],
)
def test_two_digits_are_a_year_of_the_window(found, first, expected):
    assert _as_date(tf.constant([found]), tf.constant([first])).numpy()[0].decode() == expected


@pytest.mark.parametrize(
    ("hints", "marks"),
    [
        ({}, ""),
        ({"day_first": True}, hint_of(day_first=True)),
        ({"day_first": False}, hint_of(day_first=False)),
        ({"locale": "de"}, hint_of("de")),
        ({"locale": "en_US"}, hint_of("en_US")),
        ({"locale": "en-US"}, hint_of("en_US")),
        ({"locale": "ko"}, hint_of("ko")),
        ({"locale": "en_US", "day_first": True}, hint_of("en_US", day_first=True)),
        ({"locale": ""}, ""),
    ],
)
def test_hints_stand_before_the_text_as_they_were_learned(reader, hints, marks):
    received = reader("3/4/21", **hints)
    assert "".join(received.source_tokens) == f"{marks}3/4/21".casefold()


def test_hints_may_be_one_for_each_and_the_order_stays(reader):
    texts, locales = ["3/4/2021 x", "1", "5 may"], ["de", None, "en_US"]
    readings = reader(texts, locale=locales, day_first=[None, True, False], two_digit_from=1900)
    for text, locale, first, reading in zip(texts, locales, (None, True, False), readings, strict=True):
        assert "".join(reading.source_tokens) == hint_of(locale, first) + text
    with pytest.raises(ValueError, match=r"locale must be one for all strings, or one for each of the 3. Received 2"):
        reader(texts, locale=["de", "en"])
    with pytest.raises(ValueError, match="CLDR has no locale 'xx_YY'"):
        reader("1", locale="xx_YY")


def test_temperature_makes_it_less_sure_and_says_the_same(reader):
    calm = made(temperature=3.0, strategy=Greedy())
    sure = made(strategy=Greedy())
    texts = ["3 may 1979", "12/11/10", "x"]
    for one, other in zip(sure(texts), calm(texts), strict=True):
        assert other.text == one.text
        assert other.log_prob < one.log_prob


def test_saved_and_exported_it_reads_the_same(reader, version, tmp_path):
    reader.temperature = 1.5
    reader.save(tmp_path)
    reader.temperature = 1.0
    assert load(tmp_path).temperature == 1.5
    expected = reader(["3/4/21", "5 may"], locale=["de", "en_US"])
    for received, one in zip(load(version)(["3/4/21", "5 may"], locale=["de", "en_US"]), expected, strict=True):
        assert [text for text, _ in received.n_best] == [text for text, _ in one.n_best]
        assert received.log_prob == pytest.approx(one.log_prob, abs=1e-4)
        assert received.source_tokens == one.source_tokens
    assert load(version)("3/4/21").source_tokens == list("3/4/21")


def test_a_signature_says_what_may_be_left_out(version):
    defaults = read_defaults(version)["serving_default"]
    assert {name: values.tolist() for name, values in defaults.items()} == {
        "locale": [b""],
        "day_first": [-1],
        "two_digit_from": [1950],
    }


def test_a_server_takes_hints_and_does_without(version):
    from keras_attention.serving.errors import RequestError
    from keras_attention.serving.protocol import parse_request
    from keras_attention.serving.servable import Servable

    servable = Servable("dates", 1, version)
    assert servable.signatures["serving_default"].is_text
    inputs = {name: signature.inputs for name, signature in servable.signatures.items()}

    def answer(body):
        asked = parse_request(body, inputs)
        prediction = servable.prepare(asked.signature_name, asked.inputs)
        prediction.run()
        return prediction.outputs()

    plain = answer(b'{"instances": ["3/4/21", "x"]}')
    assert plain["text"].shape == (2,)
    assert answer(b'{"inputs": {"text": ["3/4/21", "x"]}}')["text"].tolist() == plain["text"].tolist()
    hinted = answer(b'{"instances": [{"text": "3/4/21", "day_first": 1}, {"text": "x", "day_first": 0}]}')
    assert b"".join(hinted["source_tokens"][0]).decode() == hint_of(day_first=True) + "3/4/21"
    with pytest.raises(RequestError, match="must be an object of the inputs"):
        answer(b'{"instances": [{"text": "x", "day_first": 1}, {"text": "x"}]}')
    with pytest.raises(RequestError, match="must be an object of the inputs"):
        answer(b'{"instances": [{"day_first": 1}]}')
    with pytest.raises(RequestError, match="'inputs' must name"):
        answer(b'{"inputs": {"text": ["x"], "year": [1]}}')
