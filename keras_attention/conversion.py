"""What a converter gives back, and what every converter has in common."""

from typing import NamedTuple

import numpy as np


class Conversion(NamedTuple):
    """What became of one string.

    Attributes:
        text: the result.
        log_prob: natural logarithm of the probability that the model gives to
            it, its end included.
        tokens: the tokens of the result.
        source_tokens: the tokens of the input, as typed after normalisation,
            also where the model does not know them.
        weights: float32 `(len(tokens), len(source_tokens))`: how much each
            token of the result attended to each token of the input.
        n_best: `(text, log_prob)` of the best results, best first; the first
            is this one.
    """

    text: str
    log_prob: float
    tokens: list
    source_tokens: list
    weights: np.ndarray
    n_best: list


class Evaluation(NamedTuple):
    """How a converter did on pairs.

    Attributes:
        exact_match: fraction of the sources whose result is the target.
        mistakes: `(source, expected, received)` of the others.
    """

    exact_match: float
    mistakes: list


def conversions_from(tensors):
    """The conversions of a batch, without its padding.

    Args:
        tensors: dict of what the string signature returns, as arrays:
            `text`, `log_prob`, `tokens`, `source_tokens`, `weights` and, of
            a search that returns several, `n_best_text`, `n_best_log_prob`.

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
            )
        )
    return conversions


class Converter:
    """What every converter is: callable on strings, over a function on batches.

    Subclasses define `convert_batch`, from a list of strings or bytes to the
    dict of arrays that `conversions_from` takes.
    """

    def __call__(self, texts, batch_size=1024):
        """Converts strings.

        Args:
            texts: a string, or a list, tuple, array or tensor of strings; str
                or bytes.
            batch_size: most strings that go through the model at once.

        Returns:
            A `Conversion` for one string, a list of them for several.

        Raises:
            TypeError: if there is anything but strings in `texts`, or they are
                nested.
        """
        array = np.asarray(texts.numpy() if hasattr(texts, "numpy") else texts, dtype=object)
        if array.ndim > 1:
            raise TypeError(
                f"{type(self).__name__}: expected a string or a flat sequence of strings. Received shape "
                f"{array.shape}. Flatten it first."
            )
        flat = [self._as_bytes(text) for text in array.reshape(-1)]
        conversions = []
        for begin in range(0, len(flat), batch_size):
            conversions += conversions_from(self.convert_batch(flat[begin : begin + batch_size]))
        return conversions[0] if array.ndim == 0 else conversions

    def evaluate(self, pairs):
        """Compares results with expected ones.

        Args:
            pairs: list of `(source, target)`.

        Returns:
            `Evaluation(exact_match, mistakes)`.
        """
        conversions = self([source for source, _ in pairs])
        mistakes = [
            (source, target, conversion.text)
            for (source, target), conversion in zip(pairs, conversions, strict=True)
            if conversion.text != target
        ]
        return Evaluation(1.0 - len(mistakes) / len(pairs), mistakes)

    def _as_bytes(self, text):
        if isinstance(text, str):
            return text.encode("utf-8", errors="surrogatepass")
        if isinstance(text, bytes):
            return text
        raise TypeError(f"{type(self).__name__}: expected strings. Received {text!r} of type {type(text).__name__}.")
