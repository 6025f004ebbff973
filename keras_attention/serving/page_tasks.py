"""What the page asks models of each task for, and how it shows what they answer.

A task has a form with a field for each input of its models' signature.
"""

import math
import re
from typing import Any, NamedTuple

import numpy as np

from keras_attention.conversion import conversions_from
from keras_attention.export.signature import DATE_HINTS, HISTORIES, SERIES, SIGNATURE, STORIES, task_signature_of
from keras_attention.export.warmup import first_example
from keras_attention.recommend import recommendations_from
from keras_attention.serving import page_answers
from keras_attention.serving.errors import RequestError
from keras_attention.serving.logs import LOG

GENERATOR = "keras_attention.tasks.text_generator:TextGenerator"  # whose signature is that of all that take a text
FIELDS = ("text", "story", "history", "user", "past", "future", "static", "count")


class Field(NamedTuple):
    """A field of a form.

    Attributes:
        label: what is asked for.
        example: what stands there at first; None leaves what somebody typed.
    """

    label: str
    example: Any = None


class PageTask(NamedTuple):
    """How the page asks models of one task.

    Attributes:
        verb: what the button says.
        fields: from a servable to its `Field` by name, of `FIELDS`.
        read: from what was typed, by the names of fields, and the `TensorSpec`
            of the inputs to arrays.
        show: from outputs, inputs, what was typed and the model's name to HTML.
    """

    verb: str
    fields: Any
    read: Any
    show: Any


def task_of(servable):
    """The `PageTask` of a servable; None of what is no model of this package."""
    signature = servable.signatures.get(SIGNATURE)
    if signature is None:
        return None
    if signature.is_text:
        is_generator = servable.task.get("task") == GENERATOR
        return PROMPTED if is_generator else DATED if set(signature.inputs) >= DATE_HINTS else CONVERTED
    found = task_signature_of(signature.inputs, signature.outputs)
    tasks = {STORIES.name: ASKED, SERIES.name: FORECAST, HISTORIES.name: RECOMMENDED}
    return None if found is None else tasks[found.name]


def ask(predictor, servable, typed):
    """What a model makes of what was typed, as HTML; what is wrong, if there is anything.

    Args:
        predictor: `Predictor` with the limits.
        servable: model to ask.
        typed: dict of what stands in the fields, by name.
    """
    try:
        task = task_of(servable)
        if task is None:
            raise RequestError(400, f"{servable.name} is no model of this package: ask it by the protocol.")
        inputs = task.read(typed, servable.signatures[SIGNATURE].inputs)
        outputs = predictor.predict(servable, SIGNATURE, inputs)
        return task.show(outputs, inputs, typed, f"{servable.name}, version {servable.version}")
    except RequestError as error:
        return page_answers.error_html(error.message)
    except Exception:
        LOG.exception("a fault of the server")
        return page_answers.error_html("Internal error")


def _text_task(verb, label, is_date=False, may_be_empty=False):
    """The task of models from one text to one."""

    def read(typed, specs):
        if not typed["text"] and not may_be_empty:
            raise RequestError(400, "There is nothing to convert yet. Type a text.")
        return {"text": _strings([typed["text"] or ""])}

    def show(outputs, inputs, typed, about):
        (conversion,) = conversions_from(outputs)
        return page_answers.conversion_html(conversion, about, is_date)

    return PageTask(verb, lambda servable: {"text": Field(label)}, read, show)


def _read_story(typed, specs):
    if not typed["text"]:
        raise RequestError(400, "There is no question yet. Type one.")
    sentences = _lines(typed["story"])
    if not sentences:
        raise RequestError(400, "There is no story yet. Type a sentence in a line.")
    return {"story": _strings(sentences)[None], "question": _strings([typed["text"]])}


def _show_answer(outputs, inputs, typed, about):
    answer, log_prob = outputs["answer"][0].decode("utf-8"), float(outputs["log_prob"][0])
    return page_answers.answer_html(
        answer, log_prob, _texts(inputs["story"][0]), typed["text"], outputs["weights"][0], about
    )


def _series_fields(servable):
    specs, example = servable.signatures[SIGNATURE].inputs, first_example(servable.folder)
    return {
        name: Field(f"{name.capitalize()}: {_numbers_in_words(*_size_of(spec))}", _as_typed(example.get(name)))
        for name, spec in specs.items()
    }


def _read_series(typed, specs):
    return {name: _read_numbers(name, typed[name], spec) for name, spec in specs.items()}


def _show_forecast(outputs, inputs, typed, about):
    return page_answers.forecast_html(inputs["past"][0], outputs["forecast"][0], outputs["weights"][0], about)


def _history_fields(servable):
    signature, example = servable.signatures[SIGNATURE], first_example(servable.folder)
    labels = {
        "history": "History: an item a line, the oldest first",
        "user": "User: an unknown one has the mean profile",
    }
    fields = {
        name: Field(labels[name], "\n".join(_texts(example[name].reshape(-1))) if name in example else "")
        for name in signature.inputs
    }
    best = signature.outputs["items"].shape[1]
    return fields | {"count": Field(f"Number of items, at most {best}", best)}


def _read_history(typed, specs):
    if typed["count"] is not None and typed["count"] < 1:
        raise RequestError(400, f"The number of items must be at least 1. Received {typed['count']}.")
    inputs = {"history": _strings(_lines(typed["history"]) or [""])[None], "user": _strings([typed["user"] or ""])}
    return {name: inputs[name] for name in specs}


def _show_recommendation(outputs, inputs, typed, about):
    history = [item for item in _texts(inputs["history"][0]) if item]
    (found,) = recommendations_from(outputs, [history])
    found = found._replace(items=found.items[: typed["count"]], scores=found.scores[: typed["count"]])
    return page_answers.recommendation_html(found, history, about)


CONVERTED = _text_task("Convert", "Text")
DATED = _text_task("Convert", "Date", is_date=True)
PROMPTED = _text_task("Continue", "Prompt", may_be_empty=True)
ASKED = PageTask(
    "Answer",
    lambda servable: {"text": Field("Question"), "story": Field("Story, a sentence a line")},
    _read_story,
    _show_answer,
)
FORECAST = PageTask("Forecast", _series_fields, _read_series, _show_forecast)
RECOMMENDED = PageTask("Recommend", _history_fields, _read_history, _show_recommendation)


def _lines(text):
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _strings(texts):
    return np.array([text.encode("utf-8", errors="replace") for text in texts], object)


def _texts(strings):
    return [text.decode("utf-8", errors="replace") for text in strings]


def _size_of(spec):
    """Lines and numbers in a line of an input of numbers; None where any number will do."""
    *steps, width = spec.shape[1:]
    return (width, steps[0]) if steps else (1, width)


def _numbers_in_words(lines, count):
    numbers = "numbers, the oldest first" if count is None else "1 number" if count == 1 else f"{count} numbers"
    return numbers if lines == 1 else f"for each of {lines} features a line of {numbers}"


def _as_typed(array):
    """An input of numbers as `_read_numbers` reads it, a line for each feature."""
    if array is None:
        return ""
    return "\n".join(", ".join(f"{value:.3g}" for value in row) for row in np.atleast_2d(array[0].T))


def _read_numbers(name, text, spec):
    """A line of numbers for each feature as an input `(1, steps, features)`, or `(1, features)` of what has no steps.

    A single feature may have its numbers in several lines.
    """
    lines, count = _size_of(spec)
    rows = [
        [_number(name, word) for word in re.split(r"[\s,;]+", line.strip(",; \t")) if word] for line in _lines(text)
    ]
    if lines == 1:
        rows = [[number for row in rows for number in row]]
    lengths = [len(row) for row in rows]
    if len(rows) != lines or len(set(lengths)) != 1 or lengths[0] != (count or lengths[0] or 1):
        received = f"{' and '.join(map(str, lengths))} numbers" if any(lengths) else "nothing"
        received = f"lines of {received}" if len(rows) > 1 else received
        raise RequestError(
            400, f"{name.capitalize()}: expected {_numbers_in_words(lines, count)}. Received {received}."
        )
    return np.array(rows if len(spec.shape) == 2 else np.transpose(rows)[None], spec.dtype)


def _number(name, word):
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(400, f"{name.capitalize()}: expected numbers. Received {word[:40]!r}.")
    return number
