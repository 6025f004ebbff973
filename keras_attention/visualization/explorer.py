"""An explorer of attention: one HTML file, without any other, that a browser shows.

Layer and head are chosen, and each token shows what it read, or what read it.
"""

import json
import pathlib

import numpy as np

from keras_attention.conversion import Conversion
from keras_attention.visualization.heatmap_html import visible

_PAGE = pathlib.Path(__file__).with_suffix(".html")
_DIGITS = 4


def attention_page(weights, source: list[str] | None = None, target: list[str] | None = None, title: str = "") -> str:
    """Makes a page on which attention weights can be explored, by layer and head if there are several.

    Args:
        weights: a `Conversion`, whose weights of each head are shown if it has
            them; or an array or a tensor `(target, source)`,
            `(heads, target, source)` or `(layers, heads, target, source)`.
        source: tokens of the source, for an array.
        target: tokens of the target, for an array.
        title: heading of the page. Defaults to source and result of a
            conversion.

    Returns:
        The HTML document, as a string. It loads nothing and works offline.

    Raises:
        ValueError: if there is nothing to show, because the source or the
            target is empty; for tokens of another number than there are
            weights.

    Example:

    >>> from keras_attention.visualization import attention_page
    >>> page = attention_page(np.ones((2, 1, 3)) / 3, source=["the", "dog", "barks"], target=["bellt"])
    >>> page.startswith("<!DOCTYPE html>"), "http" in page.replace("http://www.w3.org/2000/svg", "")
    (True, False)
    """
    if isinstance(weights, Conversion):
        source, target = weights.source_tokens, weights.tokens
        title = title or f"{''.join(source)} → {weights.text}".replace("▁", " ").strip()
        weights = weights.weights if weights.head_weights is None else weights.head_weights
    weights = _by_layer_and_head(weights)
    source, target = [str(token) for token in source or []], [str(token) for token in target or []]
    _check(weights, source, target)
    data = {
        "title": title or "attention",
        "source": [visible(token) for token in source],
        "target": [visible(token) for token in target],
        "weights": weights.astype("float64").round(_DIGITS).tolist(),
    }
    page = _PAGE.read_text(encoding="utf-8")
    return page.replace(">DATA<", f">{_as_script(data)}<", 1)


def _by_layer_and_head(weights):
    """Weights as an array `(layers, heads, target, source)`."""
    if not isinstance(weights, np.ndarray | list | tuple):
        from keras import ops  # knows every backend's tensors

        weights = ops.convert_to_numpy(weights)
    weights = np.asarray(weights, "float32")
    if weights.ndim not in (2, 3, 4):
        raise ValueError(
            "attention_page: weights must be (target, source), (heads, target, source) or "
            f"(layers, heads, target, source). Received shape {weights.shape}. Of a batch, give one row, `weights[0]`."
        )
    return weights.reshape((1,) * (4 - weights.ndim) + weights.shape)


def _check(weights, source, target):
    if not source or not target:
        raise ValueError(
            f"attention_page: source and target must hold at least one token each. Received source {source} and "
            f"target {target}. Give a text that is not empty."
        )
    if weights.shape[2:] != (len(target), len(source)):
        raise ValueError(
            f"attention_page: weights of shape {weights.shape} are for {weights.shape[2]} tokens of the target and "
            f"{weights.shape[3]} of the source. Received {len(target)} and {len(source)}. Padding can be cut off: "
            f"`weights[..., :{len(target)}, :{len(source)}]`."
        )


def _as_script(data):
    """JSON that cannot end the element it stands in."""
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
