"""The reader of dates that comes with the package: what it answers, how large it is, what is said about it."""

import datetime
import re

import numpy as np
import pandas
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from keras_attention import TextToText, cli, load
from keras_attention.data.world_dates import locale_hints
from keras_attention.dates import to_datetime
from keras_attention.export import saved_model
from keras_attention.pretrained import DATES
from keras_attention.recipes import world_dates
from keras_attention.tasks import DateReader


@pytest.fixture(scope="module")
def reader():
    return load()


KNOWN = {
    "2024년 3월 5일": "2024-03-05",
    "3 de mayo de 1979": "1979-05-03",
    "Freitag, 13. Juni 1997": "1997-06-13",
    "november fourth 2019": "2019-11-04",
    "Tuesday, September 25, 1984": "1984-09-25",
    "20240305": "2024-03-05",
    "5mar2024": "2024-03-05",
    "२०२४-०३-०५": "2024-03-05",
    "2024/03/05 10:30:00": "2024-03-05",
    "le 14 juillet 1989": "1989-07-14",
    "令和6年3月5日": "2024-03-05",
    "29 February 2024": "2024-02-29",
    "2024-03-05_10-30-15": "2024-03-05",
    "2024:03:05 10:30:15": "2024-03-05",
    "2024-03-05+01:00": "2024-03-05",
    "13.08.2013 22.00.15": "2013-08-13",
    "9999-12-31": "9999-12-31",
    "1/1/0001 12:00:00 AM": "0001-01-01",
    "October 12, 1492": "1492-10-12",
    "Room 12, 5 March 2024": "2024-03-05",
    "10 Downing Street, 5 March 2024": "2024-03-05",
    "ngày 5 tháng 3 năm 2024": "2024-03-05",
    "R6.3.5": "2024-03-05",
    "Mar 5 10:30 2024": "2024-03-05",
    "5. březen 2024": "2024-03-05",
    "15%20May%202014": "2014-05-15",
    "[28/08/21, 14:30:59]": "2021-08-28",
    "13 | 03 | 2024": "2024-03-13",
    "17 · 04 · 2025": "2025-04-17",
    "'24.3.13": "2024-03-13",
    "24년 3월 13일": "2024-03-13",
    "31 de dez. de 2020": "2020-12-31",
    "[25/5/22, 20:09:59]": "2022-05-25",
    "2024年3月5日(火) 10:30": "2024-03-05",
    "The committee met on Tuesday and agreed that the next session will take place on 14 October 2021 in the main hall "
    "of the university": "2021-10-14",
}
NONE = ["hello", "//", "538400", "12 Main Street", "31 February 2020", "13/13/13", "tomorrow", "", "29 February 2023"]
# Of the Persian, the Islamic and the Buddhist calendar.
NONE += ["۱۴۰۲/۱۲/۱۵", "1402/12/15", "١٤٤٥/٠٩/١٥", "๕/๓/๒๕๖๗", "2567-03-05"]  # noqa: RUF001
NONE += ["5-7 March 2024", "March 5-7, 2024", "March 5 and 6, 2024", "2024-W10-2", "2024-065", "Q1 2024", "Easter 2024"]
NONE += ["end of March 2024", "15 March 44 BC", "Sept 31st, 2023", "20240631", "6/31/2024", "29.02.1900"]


def test_dates_of_all_scripts_are_read(reader):
    assert {text: reading.text for text, reading in zip(KNOWN, reader(list(KNOWN)), strict=True)} == KNOWN


def test_what_is_no_date_is_refused(reader):
    assert [reading.text for reading in reader(NONE)] == [""] * len(NONE)


def test_both_readings_come_back_and_a_hint_decides(reader):
    readings = reader("3/4/2021").n_best
    assert {text for text, _ in readings} == {"2021-04-03", "2021-03-04"}
    assert 0.9 < sum(np.exp(log_prob) for _, log_prob in readings) <= 1.0001
    hinted = reader(["3/4/2021"] * 4, locale=["en_GB", "en_US", None, None], day_first=[None, None, True, False])
    assert [reading.text for reading in hinted] == ["2021-04-03", "2021-03-04"] * 2
    assert reader("5/6/49", day_first=True, two_digit_from=1900).text == "1949-06-05"


def test_every_day_of_a_leap_year_is_read_in_iso(reader):
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=number) for number in range(366)]
    texts = [day.isoformat() for day in days]
    assert [reading.text for reading in reader(texts)] == texts


def test_a_training_begins_with_it_where_it_is_asked_to(reader):
    model, sources, targets = world_dates._begin(DATES, [], {})
    begun = DateReader(model, sources, targets, locale_hints())
    assert [reading.text for reading in begun(list(KNOWN))] == [reading.text for reading in reader(list(KNOWN))]


def test_command_line_needs_no_model(capsys):
    assert cli.main(["convert", *list(KNOWN)[:4], "hello"]) == 0
    assert capsys.readouterr().out.splitlines() == [*list(KNOWN.values())[:4], "no date"]
    assert cli.main(["convert", "--min-confidence", "0.999", "--readings", "3/4/2021"]) == 0
    assert capsys.readouterr().out.startswith("not sure\t2021-0")
    assert cli.main(["convert", "--month-first", "3/4/2021"]) == 0
    assert capsys.readouterr().out == "2021-03-04\n"
    assert cli.main(["convert", "--locale", "nowhere", "3/4/2021"]) == 1
    assert "CLDR has no locale 'nowhere'" in capsys.readouterr().err


def test_column_needs_no_reader():
    dates = to_datetime(pandas.Series(["3 de mayo de 1979", "hello"]))
    assert dates.isna().tolist() == [False, True]
    assert dates[0] == pandas.Timestamp("1979-05-03")


def test_another_model_in_the_process_has_a_vocabulary_of_its_own(trained, tmp_path, reader):
    tables = "hash_table_source_vocabulary.txt"  # of both, by the same name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_model, "_check", lambda *arguments: None)
        version = TextToText.load(trained).export(tmp_path / "model")
    assert all(tables.encode() in (place / "saved_model.pb").read_bytes() for place in (version, DATES / "1"))
    assert load(version)("3 May 1979").text == "1979-05-03"
    assert reader("2024년 3월 5일").text == "2024-03-05"


def test_its_probabilities_are_calibrated_as_its_card_says():
    temperature = re.search(r"by a temperature of\s+(\d\.\d+)", (DATES / "MODEL_CARD.md").read_text())[1]
    saved = SavedModel.FromString((DATES / "1/saved_model.pb").read_bytes())
    nodes = [node for function in saved.meta_graphs[0].graph_def.library.function for node in function.node_def]
    tensors = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
    numbers = {f"{tf.make_ndarray(each):.3f}" for each in tensors if each.dtype == 1 and not each.tensor_shape.dim}
    assert temperature in numbers


def test_it_is_small_and_has_a_card():
    assert sum(path.stat().st_size for path in DATES.parent.rglob("*") if "__pycache__" not in path.parts) < 5_000_000
    card = (DATES / "MODEL_CARD.md").read_text(encoding="utf-8")
    for part in ("keras-attention train world-dates", "seed", "## Limits", "## Measured"):
        assert part in card
