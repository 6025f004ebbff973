"""What a converter gives back, and what every converter has in common."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Conversion(NamedTuple):
    """What became of one string.

    Attributes:
        text: the result.
        log_prob: natural logarithm of the probability that the model gives to
            it, its end included, whether or not it ended by itself.
        tokens: the tokens of the result.
        source_tokens: the tokens of the input, as typed, in the form that the
            tokenizer brings them into, also where the model does not know them.
        weights: float32 `(len(tokens), len(source_tokens))`: how much each
            token of the result attended to each token of the input.
        n_best: `(text, log_prob)` of the best results, best first; the first
            is this one.
        truncated: whether the end of the source was cut off.
        head_weights: float32
            `(layers, heads, len(tokens), len(source_tokens))`, of which
            `weights` is the mean; None if they were not asked for.
        finished: whether the result ended by itself; else it was ended by the
            limit of its length. None of an export of before this was said.
    """

    text: str
    log_prob: float
    tokens: list
    source_tokens: list
    weights: np.ndarray
    n_best: list
    truncated: bool = False
    head_weights: np.ndarray | None = None
    finished: bool | None = None


class Score(NamedTuple):
    """What a model thinks of a given target.

    Attributes:
        log_prob: natural logarithm of its probability, its end included.
        tokens: number of its tokens, the end among them.
    """

    log_prob: float
    tokens: int


class Evaluation(NamedTuple):
    """How a converter did on pairs.

    Attributes:
        exact_match: fraction of the sources whose result is the target.
        mistakes: `(source, expected, received)` of the others.
        texts: all results.
    """

    exact_match: float
    mistakes: list
    texts: list


def conversions_from(tensors):
    """The conversions of a batch, without its padding.

    Args:
        tensors: dict of what the string signature returns, as arrays:
            `text`, `log_prob`, `finished`, `tokens`, `source_tokens`,
            `source_length`, `weights` and, of a search that returns several,
            `n_best_text`, `n_best_log_prob`; `head_weights` if there are any.

    Returns:
        A list of `Conversion`.
    """
    texts = tensors.get("n_best_text", tensors["text"][:, None])
    log_probs = tensors.get("n_best_log_prob", tensors["log_prob"][:, None])
    conversions = []
    for row, text in enumerate(tensors["text"]):
        tokens = [token.decode("utf-8") for token in tensors["tokens"][row] if token]
        source_tokens = [token.decode("utf-8") for token in tensors["source_tokens"][row] if token]
        conversions.append(
            Conversion(
                text=text.decode("utf-8"),
                log_prob=float(tensors["log_prob"][row]),
                tokens=tokens,
                source_tokens=source_tokens,
                weights=tensors["weights"][row, : len(tokens), : len(source_tokens)],
                n_best=[
                    (best.decode("utf-8"), float(log_prob))
                    for best, log_prob in zip(texts[row], log_probs[row], strict=True)
                    if np.isfinite(log_prob)
                ],
                truncated=bool(tensors["source_length"][row] > len(source_tokens)),
                finished=bool(tensors["finished"][row]) if "finished" in tensors else None,
                head_weights=_of_heads(tensors, row, len(tokens), len(source_tokens)),
            )
        )
    return conversions


def _of_heads(tensors, row, target, source):
    """Weights of one row by layer and head, without its padding; or None."""
    if "head_weights" not in tensors:
        return None
    return np.moveaxis(tensors["head_weights"][row, :target, :, :, :source], 0, 2)


def _single_spaced(text):
    return " ".join(text.split())


class Converter:
    """What every converter is: callable on strings, over a function on batches.

    Subclasses define `convert_batch(texts, **more)`, from lists of bytes, and of
    whatever else was given for each text, to the dict of arrays that
    `conversions_from` takes.
    """

    keeps_spaces = True

    def __call__(self, texts, batch_size=1024, prefix=None):
        """Converts strings, those of about one length together; the order stays.

        Args:
            texts: a string, or a list, tuple, array or tensor of strings; str
                or bytes.
            batch_size: most strings that go through the model at once.
            prefix: what each result must begin with: a string for all, or one
                for each; None leaves them free.

        Returns:
            A `Conversion` for one string, a list of them for several.

        Raises:
            TypeError: if there is anything but strings in `texts`, or they are
                nested.
            ValueError: if there are prefixes, but not one for each text.
        """
        flat, is_one = self._flat(texts)
        more = {} if prefix is None else {"prefix": self._prefixes(prefix, len(flat))}
        conversions = self._convert(flat, more, batch_size)
        return conversions[0] if is_one else conversions

    def _convert(self, texts, more, batch_size):
        """A list of conversions; `more` is a dict of lists of what else each text has."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        conversions = [None] * len(texts)
        for begin in range(0, len(texts), batch_size):
            rows = order[begin : begin + batch_size]
            some = {name: [values[row] for row in rows] for name, values in more.items()}
            found = self.convert_batch([texts[row] for row in rows], **some)
            for row, conversion in zip(rows, conversions_from(found), strict=True):
                conversions[row] = conversion
        return conversions

    def evaluate(self, pairs: Sequence[tuple[str, str]], batch_size: int = 1024) -> Evaluation:
        """Compares results with expected ones.

        Where the tokenizer reads a run of spaces as one, so does the comparison.

        Args:
            pairs: list of `(source, target)`.
            batch_size: as in a call.

        Returns:
            `Evaluation(exact_match, mistakes, texts)`.

        Raises:
            ValueError: without a pair.
        """
        if not pairs:
            raise ValueError(f"{type(self).__name__}.evaluate: expected at least one pair, received none.")
        texts = [conversion.text for conversion in self([source for source, _ in pairs], batch_size=batch_size)]
        form = str if self.keeps_spaces else _single_spaced
        mistakes = [
            (source, target, text)
            for (source, target), text in zip(pairs, texts, strict=True)
            if form(text) != form(target)
        ]
        return Evaluation(1.0 - len(mistakes) / len(pairs), mistakes, texts)

    def _flat(self, texts):
        """A list of bytes, and whether there was but one string."""
        array = np.asarray(texts.numpy() if hasattr(texts, "numpy") else texts, dtype=object)
        if array.ndim > 1:
            raise TypeError(
                f"{type(self).__name__}: expected a string or a flat sequence of strings. Received shape "
                f"{array.shape}. Flatten it first."
            )
        return [self._as_bytes(text) for text in array.reshape(-1)], array.ndim == 0

    def _prefixes(self, prefix, count):
        prefixes, is_one = self._flat(prefix)
        if is_one:
            return prefixes * count
        if len(prefixes) != count:
            raise ValueError(
                f"{type(self).__name__}: prefix must be one string, or one for each of the {count} texts. Received "
                f"{len(prefixes)}."
            )
        return prefixes

    def _as_bytes(self, text):
        if isinstance(text, str):
            return text.encode("utf-8", errors="surrogatepass")
        if isinstance(text, bytes):
            return text
        raise TypeError(
            f"{type(self).__name__}: expected strings. Received {text!r} of type {type(text).__name__}. Leave it "
            "out, or make a string of it: str(...)."
        )
