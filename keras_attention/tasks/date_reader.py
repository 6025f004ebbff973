"""From a date as people write it, in whatever language, to ISO 8601; or the answer that it is none."""

import functools
import os
import pathlib
from typing import ClassVar, Self

import tensorflow as tf

from keras_attention.date_reading import (
    DAY_FIRST,
    LANGUAGE,
    LANGUAGE_END,
    LONGEST,
    MONTH_FIRST,
    NOT_KNOWN,
    REFUSAL,
    TWO_DIGITS_FROM,
    ReadsDates,
)
from keras_attention.decoding.constraint import Constraint
from keras_attention.decoding.strategies import Beam
from keras_attention.export.saved_date_reader import SavedDateReader
from keras_attention.tasks.text_to_text import TextToText

_LOCALES = "locales.txt"
_DAYS = r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
_FOUR = r"(?:0[48]|[2468][048]|[13579][26])"  # the last two digits of a leap year, those of centuries aside
# The year with four digits, or with the two that a text has; or the refusal. A leap day needs a leap year.
VALID = Constraint.from_regex(
    rf"\d\d(?:\d\d)?-{_DAYS}|(?:\d\d)?{_FOUR}-02-29|(?:[02468][048]|[13579][26])00-02-29|00-02-29|\?"
)


class DateReader(ReadsDates, TextToText):
    """Reads dates with a converter that `train_world_dates` trained.

    The search is among valid dates and the refusal alone.

    Args:
        model, source_tokenizer, target_tokenizer: those of a `TextToText`.
        locales: dict of what is known of each locale: its language, and whether
            its people write the day before the month, True, after it, False, or
            neither, None. Or the path of a file that `save` wrote.
        strategy: how to search; `Beam(2, n_best=2)` gives two readings.
        temperature: what logits are divided by, so that a probability is how
            often such an answer is right.

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
        strategy=Beam(2, n_best=2),
        temperature=1.0,
    ):
        super().__init__(
            model,
            source_tokenizer,
            target_tokenizer,
            strategy,
            max_length=10,
            max_source_length=LONGEST,
            constraint=VALID,
        )
        self.locales = locales
        self.temperature = temperature

    def compute(self, text, locale=None, day_first=None, two_digit_from=None):
        """The whole line, in graph.

        Args:
            text: strings, `(batch,)`.
            locale: identifiers of CLDR, `(batch,)`; an empty or unknown one says
                nothing.
            day_first: 1, 0, or -1 where it is not known, `(batch,)`.
            two_digit_from: the first of the years that two digits may mean,
                `(batch,)`.

        Returns:
            What `TextToText.compute` does; the texts are dates, or empty.
        """
        size = tf.shape(text)
        locale, day_first, two_digit_from = (
            tf.fill(size, self.defaults[name]) if value is None else value
            for name, value in (("locale", locale), ("day_first", day_first), ("two_digit_from", two_digit_from))
        )
        results = super().compute(tf.strings.join([self._marks(locale, day_first), _without_marks(text)]))
        for name in ("text", "n_best_text"):
            if name in results:
                first = two_digit_from if name == "text" else two_digit_from[:, None]
                results[name] = _as_date(results[name], first)
        return results

    def _marks(self, locale, day_first):
        """What stands before each text."""
        known = self._table.lookup(locale)  # "d de", "m en", "- ko", or nothing
        order = tf.strings.substr(known, 0, 1)
        order = tf.where(day_first == 1, "d", tf.where(day_first == 0, "m", order))
        mark = tf.where(order == "d", DAY_FIRST, tf.where(order == "m", MONTH_FIRST, ""))
        language = tf.strings.regex_replace(known, "^. ", "")
        named = tf.where(language == "", "", tf.strings.join([LANGUAGE, language, LANGUAGE_END]))
        return tf.strings.join([mark, named])

    @functools.cached_property
    def _table(self):
        with tf.init_scope():
            if isinstance(self.locales, dict):
                keys, values = list(self.locales), [_line(*known) for known in self.locales.values()]
                content = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(values))
            else:
                content = tf.lookup.TextFileInitializer(str(self.locales), tf.string, 0, tf.string, 1, delimiter="\t")
            return tf.lookup.StaticHashTable(content, default_value="")

    def at_temperature(self, temperature):
        """The same reader with another temperature."""
        return type(self)(
            self.model, self.source_tokenizer, self.target_tokenizer, self.locales, self.strategy, temperature
        )

    def _step(self, ids, memory, state):
        logits, state, weights = super()._step(ids, memory, state)
        return logits / self.temperature, state, weights

    @property
    def settings(self):
        names = ("tokenizers", "strategy")
        return {name: super(DateReader, self).settings[name] for name in names} | {"temperature": self.temperature}

    @classmethod
    def load(cls, folder: str | os.PathLike, **more) -> Self:
        """Reads what `save` wrote; see `Task.load`."""
        return super(TextToText, cls).load(folder, **more)

    def save_files(self, folder):
        super().save_files(folder)
        locales = self.locales if isinstance(self.locales, dict) else None
        lines = (
            pathlib.Path(self.locales).read_text(encoding="utf-8")
            if locales is None
            else "".join(f"{name}\t{_line(*known)}\n" for name, known in locales.items())
        )
        (pathlib.Path(folder) / _LOCALES).write_text(lines, encoding="utf-8")

    @classmethod
    def load_files(cls, folder, settings):
        return super().load_files(folder, settings) | {"locales": (pathlib.Path(folder) / _LOCALES).absolute()}

    @property
    def tables(self):
        return [*super().tables, self._table]

    def for_export(self, folder):
        """The same with files in `folder`, and the model that decodes fastest."""
        self.save_files(folder)
        return type(self)(self.model.for_decoding(), **self.load_files(folder, self.settings))


def _line(language, day_first):
    return f"{'-' if day_first is None else 'd' if day_first else 'm'} {language}"


def _without_marks(text):
    """Strings without the characters that are marks here."""
    return tf.strings.regex_replace(text, f"[{DAY_FIRST}-{LANGUAGE_END}]", "")


def _as_date(found, two_digit_from):
    """`24-03-05` as the date of that century, and the refusal as an empty text."""
    has_two = tf.strings.length(found) == 8
    long = tf.strings.join([found, "00000000"])  # so that any can be cut
    digits = tf.where(has_two, tf.strings.substr(long, 0, 2), "0")
    year = two_digit_from + (tf.strings.to_number(digits, tf.int32) - two_digit_from) % 100
    rest = tf.strings.substr(long, 2, 6)
    date = tf.strings.join([tf.strings.as_string(year, width=4, fill="0"), rest])
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    none = (found == REFUSAL) | (has_two & (rest == "-02-29") & ~leap)
    return tf.where(none, "", tf.where(has_two, date, found))
