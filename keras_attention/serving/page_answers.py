"""Answers of models as the page shows them: HTML, in which whatever a model or a reader said is escaped."""

import math
import textwrap

import numpy as np

from keras_attention.visualization.attended import answer_attended, forecast_attended, recommendation_attended
from keras_attention.visualization.explorer import attention_page
from keras_attention.visualization.heatmap_html import attention_html, escaped, story_html

LARGEST = 20_000  # cells of a heatmap that a browser should draw
MOST_WEIGHTS = 100_000  # of all layers and heads, that are sent to it
MOST_PLOTTED = 500  # steps of the past in the plot of a forecast
UNSURE = 0.9  # a reading of a date that is less probable is marked


def conversion_html(conversion, about, is_date=False):
    """A conversion as HTML: result, probability, the other results, attention.

    Args:
        conversion: a `Conversion`.
        about: what it is from.
        is_date: whether it is a reading of a date, which may be none, or unsure.
    """
    nothing = "no date" if is_date else "(nothing)"
    parts = [_head_html(conversion.text or nothing, about, conversion.log_prob)]
    if is_date and math.exp(conversion.log_prob) < UNSURE:
        parts.append('<p class="unsure">Not sure: another reading is possible.</p>')
    if conversion.truncated:
        parts.append(_note_html("The text was too long for the model: its end was cut off."))
    if conversion.finished is False:
        parts.append(_note_html("The result was ended by the limit of its length."))
    if len(conversion.n_best) > 1:
        rows = [[text or nothing, _percent(log_prob)] for text, log_prob in conversion.n_best]
        parts.append(_table_html("Readings" if is_date else "Best results", rows))
    if 0 < conversion.weights.size <= LARGEST:
        explored = (
            conversion if np.size(conversion.head_weights) <= MOST_WEIGHTS else conversion._replace(head_weights=None)
        )
        parts.append(f"<h2>Attention</h2>{attention_html(conversion)}{_explorer_html(attention_page(explored))}")
    elif conversion.weights.size:
        parts.append(_too_many_html(*conversion.weights.shape))
    return "".join(parts)


def answer_html(answer, log_prob, story, question, weights, about):
    """The answer to a question, and how much each hop attended to each sentence of the story."""
    attended = answer_attended(weights, story)
    attention = _attention_html(attended, title=question, picture=story_html(story, weights))
    return _head_html(answer, about, log_prob) + attention


def forecast_html(past, values, weights, about):
    """A forecast as HTML: a plot and a table of each target, and which steps of the past each step attended to.

    Args:
        past: `(past, dim)`, the targets first.
        values: `(horizon, targets)`.
        weights: `(horizon, past)`; zeros of a model without attention.
        about: what it is from.
    """
    horizon, targets = values.shape
    attended = forecast_attended(weights)
    plots = "".join(_plot_html(past[-MOST_PLOTTED:, target], values[:, target]) for target in range(targets))
    names = ["value"] if targets == 1 else [f"feature {target}" for target in range(1, targets + 1)]
    rows = [[step, *(f"{value:.4g}" for value in row)] for step, row in zip(attended.target, values, strict=True)]
    return (
        _head_html(f"The next {horizon} steps" if horizon > 1 else "The next step", about)
        + plots
        + _table_html("Forecast", rows, ["step", *names])
        + _attention_html(attended, title="attention of the steps ahead to the past")
    )


def recommendation_html(recommendation, history, about):
    """Recommended items as HTML, with their scores, and what of the history was attended to.

    Args:
        recommendation: a `Recommendation`.
        history: list of the items that it comes after.
        about: what it is from.
    """
    items, scores, weights = recommendation
    parts = [_head_html(items[0] if items else "(nothing more)", about)]
    most = weights.max(axis=tuple(range(weights.ndim - 1)))
    unread = ", ".join(item for item, weight in zip(history, most, strict=True) if not weight)
    if unread:
        parts.append(
            f'<p class="unsure">Not read: <bdi dir="auto">{escaped(unread)}</bdi>. An item that the model does not '
            "know is left out, and so are the oldest of a long history.</p>"
        )
    if items:
        rows = [[item, f"{score:.3g}"] for item, score in zip(items, scores, strict=True)]
        parts.append(_table_html("Recommended", rows, ["item", "score"]))
        parts.append(_attention_html(recommendation_attended(recommendation, history), title="attention"))
    return "".join(parts)


def error_html(message):
    """What went wrong, as HTML."""
    return f'<p class="error" role="alert">{escaped(textwrap.shorten(message, 500, placeholder=" …"))}</p>'


def _head_html(text, about, log_prob=None):
    probability = "" if log_prob is None else f"probability {_percent(log_prob)} · "
    return (
        f'<p class="answer" role="status"><bdi dir="auto">{escaped(text)}</bdi></p>'
        f'<p class="about">{probability}{escaped(about)}</p>'
    )


def _note_html(text):
    return f'<p class="about">{text}</p>'


def _table_html(title, rows, columns=()):
    """Rows of texts, of which the first names what the others are of."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><td><bdi dir="auto">{escaped(first)}</bdi></td>' + "".join(f"<td>{one}</td>" for one in rest) + "</tr>"
        for first, *rest in rows
    )
    head = head and f"<thead><tr>{head}</tr></thead>"
    return f'<h2>{title}</h2><table class="results">{head}<tbody>{body}</tbody></table>'


def _plot_html(past, values):
    """The past and the forecast of a target as two lines; the table has the numbers."""
    line = np.concatenate([past, values]).astype("float64")
    if not np.isfinite(line).all():
        return ""
    heights = 60 * (line.max() - line) / (np.ptp(line) or 1)
    points = [f"{x:.1f},{y:.1f}" for x, y in zip(np.linspace(0, 300, len(line)), heights, strict=True)]
    lines = " ".join(points[: len(past)]), " ".join(points[len(past) - 1 :])
    return (
        '<svg class="series" viewBox="-3 -3 306 66" aria-hidden="true">'
        f'<polyline points="{lines[0]}"/><polyline class="ahead" points="{lines[1]}"/></svg>'
    )


def _attention_html(attended, title, picture=""):
    """Weights to explore, below a picture of them if there is one; nothing of a model without attention."""
    weights, source, target = attended
    if not weights.any():
        return ""
    if weights.size > MOST_WEIGHTS:
        return _too_many_html(len(target), len(source))
    return f"<h2>Attention</h2>{picture}{_explorer_html(attention_page(*attended, title))}"


def _too_many_html(target, source):
    return _note_html(f"{target:,} by {source:,} weights of attention are too many to show.")


def _explorer_html(page):
    """The explorer of attention in a frame, in which it runs by itself and reaches nothing of this page."""
    return (
        "<details open><summary>Explore in both directions</summary>"
        f'<iframe title="explorer of attention" sandbox="allow-scripts" srcdoc="{escaped(page)}"></iframe></details>'
    )


def _percent(log_prob):
    return f"{100 * math.exp(log_prob):.3g} %"
