"""The string signature that every export of this package has, as others must know it to serve it."""

from typing import NamedTuple

SIGNATURE = "serving_default"
TEXT_ONLY = "text_only"  # the same without tokens and weights, of exports from text to text
INPUTS = ("text",)
# What a reader of dates takes beside `INPUTS`, and may be left out.
DATE_HINTS = {"locale", "day_first", "two_digit_from"}
OUTPUTS = ("text", "log_prob", "tokens", "source_tokens", "source_length", "weights")


class TaskSignature(NamedTuple):
    """Names by which the signature of a task that does not take texts is recognised.

    Attributes:
        name: name of the kind of task.
        required: inputs that every model of the task takes.
        optional: inputs that some take.
        outputs: what each gives.
    """

    name: str
    required: set
    optional: set
    outputs: set

    def is_of(self, inputs, outputs):
        """Whether names of inputs and outputs are those of the task."""
        return self.required <= set(inputs) <= self.required | self.optional and self.outputs <= set(outputs)


STORIES = TaskSignature("stories", {"story", "question"}, set(), {"answer", "log_prob", "weights"})
SERIES = TaskSignature("series", {"past"}, {"future", "static"}, {"forecast", "weights"})
HISTORIES = TaskSignature("histories", {"history"}, {"user"}, {"items", "scores", "weights"})


def task_signature_of(inputs, outputs):
    """The `TaskSignature` that has these names of inputs and outputs; None if none has."""
    return next((each for each in (STORIES, SERIES, HISTORIES) if each.is_of(inputs, outputs)), None)


def is_text_signature(inputs, outputs):
    """Whether names of inputs and outputs are those of this package's exports."""
    return set(inputs) == set(INPUTS) and set(OUTPUTS) <= set(outputs)


def cut_back(outputs):
    """An answer without the padding that longer strings of its batch brought.

    Args:
        outputs: dict of arrays as the string signature gives them, some rows of
            a larger batch.

    Returns:
        The dict that these rows alone would have got.
    """
    source = max(1, _longest(outputs["source_tokens"]))
    target = _longest(outputs["tokens"])
    cut = outputs | {
        "tokens": outputs["tokens"][:, :target],
        "source_tokens": outputs["source_tokens"][:, :source],
        "weights": outputs["weights"][:, :target, :source],
    }
    if "head_weights" in outputs:
        cut["head_weights"] = outputs["head_weights"][:, :target, :, :, :source]
    return cut


def _longest(tokens):
    """Columns in which a row has a token."""
    return int((tokens != b"").any(axis=0).sum())
