"""From a date as people write it, in whatever language, to ISO 8601; or the answer that it is none."""

import functools
from typing import ClassVar

import numpy as np
import tensorflow as tf

from keras_attention.dates import NOT_KNOWN, TWO_DIGITS_FROM, ReadsDates
from keras_attention.decoding.constraint import Constraint
from keras_attention.decoding.strategies import Beam
from keras_attention.export.saved_date_reader import SavedDateReader
from keras_attention.tasks.text_to_text import TextToText

_LOCALES = "locales.txt"
_DAYS = r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
_LEAP = r"(?:0[48]|[2468][048]|[13579][26])"  # the last two digits of a leap year, those of centuries aside
# Four digits of the year, or the two that a text has; or the refusal. A leap day needs a leap year.
VALID = Constraint.from_regex(
    rf"\d{{2}}(?:\d{{2}})?-{_DAYS}|\d{{2}}{_LEAP}-02-29|(?:[02468][048]|[13579][26])00-02-29|(?:{_LEAP}|00)-02-29|\?"
)


class DateReader(ReadsDates, TextToText):
    """Reads dates with a converter that `train_world_dates` trained.

    The search is among valid dates and the refusal alone, and what comes back
    is a date of four digits or, where there is none, an empty text.

    Args:
        model, source_tokenizer, target_tokenizer: of the converter.
        locales: path of a file, or a dict: locales, each with its hint, whose
            first character says whether its people write the day before the
            month (`d`), after it (`m`) or neither (`-`).
        strategy: how to search; `Beam(4, n_best=2)` gives two readings.
        temperature: what logits are divided by, so that the probabilities are
            how often the answers are right; see `calibrate`.

    Call args and Returns: see `ReadsDates`.
    """

    optional_specs: ClassVar = {
        "locale": tf.TensorSpec([None], tf.string),
        "day_first": tf.TensorSpec([None], tf.int32),
        "two_digit_from": tf.TensorSpec([None], tf.int32),
    }
    defaults: ClassVar = {"locale": "", "day_first": NOT_KNOWN, "two_digit_from": TWO_DIGITS_FROM}
    saved_class = SavedDateReader

    def __init__(
        self,
        model,
        source_tokenizer,
        target_tokenizer,
        locales,
        strategy=Beam(4, n_best=2),
        temperature=1.0,
        **_,
    ):
        super().__init__(
            model, source_tokenizer, target_tokenizer, strategy, max_length=10, max_source_length=90, constraint=VALID
        )
        self.locales = locales
        self.temperature = temperature
