"""The page: type a text, or a story and a question, and see what a model makes of it and what it read."""

import math
import os
import textwrap
from typing import NamedTuple

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # not of this page alone; read when it is imported

import gradio
import numpy as np
from fastapi import FastAPI

from keras_attention.conversion import conversions_from
from keras_attention.export.signature import DATE_HINTS, INPUTS, SIGNATURE, STORY_INPUTS
from keras_attention.serving.errors import RequestError
from keras_attention.serving.logs import LOG
from keras_attention.visualization.explorer import attention_page
from keras_attention.visualization.heatmap_html import attention_html, escaped, story_html

LARGEST = 20_000  # cells of a heatmap that a browser should draw
MOST_WEIGHTS = 100_000  # of all layers and heads, that are sent to it
UNSURE = 0.9  # a reading of a date that is less probable is marked
# For a reader of dates.
EXAMPLES = (
    "Freitag, 13. Juni 1997", "3 de mayo de 1979", "2024년 3월 5일", "٥ مارس ٢٠٢٤", "5 марта 2024 г.", "১৫ আগস্ট, ১৯৪৭",
    "令和6年3月5日", "november fourth 2019", "3/4/2021", "31 February 2020", "tomorrow",
)  # fmt: skip

_STYLE = """\
.gradio-container { color-scheme: light; }
.dark .gradio-container, .gradio-container.dark { color-scheme: dark; }
.gradio-container .attention-map { color-scheme: inherit; --attention-paper: var(--body-background-fill);
  --attention-ink: var(--body-text-color); }
#text textarea, #text input { unicode-bidi: plaintext; }
#conversion { overflow-wrap: anywhere; }
#conversion .html-container { padding: 0.25rem 0; }
@media (max-width: 40rem) { .gradio-container .main.fillable.app { padding-inline: 0.75rem; } }
#conversion .answer { font-size: 1.6rem; line-height: 1.3; margin: 0 0 0.25rem; white-space: pre-wrap; }
#conversion .about { color: color-mix(in srgb, var(--body-text-color) 70%, transparent); margin: 0 0 1rem; }
#conversion .unsure { border-inline-start: 4px solid #d97706; padding: 0.5rem 0.75rem; margin: 0 0 1rem; }
#conversion .error { border-inline-start: 4px solid #dc2626; padding: 0.5rem 0.75rem; margin: 0; }
#conversion .results { border-collapse: collapse; margin: 0 0 1rem; }
#conversion .results th, #conversion .results td { padding: 0.15rem 1rem 0.15rem 0; border: 0; text-align: start; }
#conversion .results td:last-child { text-align: end; white-space: nowrap; font-variant-numeric: tabular-nums; }
#conversion h2 { font-size: 1rem; margin: 0 0 0.4rem; }
#conversion details { margin-top: 1rem; }
#conversion summary { cursor: pointer; font-weight: 600; margin-bottom: 0.4rem; }
#conversion iframe { display: block; box-sizing: content-box; width: calc(100% - 2px); max-width: 45rem; height: 24rem;
  max-height: 85vh; border: 1px solid var(--border-color-primary); border-radius: 6px; }
"""


# Gradio opens the list of models again when the keyboard leaves it, because that changes what it is filtered by.
# The explorer of attention, which is a document in a frame, says how high it is.
_SCRIPT = """\
document.addEventListener("focusout", ({ target }) => {
  if (!target.matches("#model input")) return;
  setTimeout(() => {
    if (document.activeElement !== target) target.dispatchEvent(new FocusEvent("blur"));
  }, 50);
});
addEventListener("message", ({ data, source }) => {
  const frame = [...document.querySelectorAll("#conversion iframe")].find(one => one.contentWindow === source);
  if (frame && data.attentionHeight > 0) frame.style.height = data.attentionHeight + "px";
});
"""


class _Parts(NamedTuple):
    """What a reader of the page sees."""

    name: gradio.Dropdown
    text: gradio.Textbox
    examples: gradio.Dataset
    story: gradio.Textbox
    button: gradio.Button
    answer: gradio.HTML


def make_page(store, predictor):
    """The page as an application of its own.

    Args:
        store: store of the models.
        predictor: `Predictor`, whose limits hold for the page too.

    Returns:
        A `fastapi.FastAPI`, with a lifespan that must be entered.
    """
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    with gradio.Blocks(title="keras-attention", analytics_enabled=False) as blocks:
        _connect(_lay_out(), blocks, store, predictor)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    return gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        show_error=False,
        theme=gradio.themes.Base(**fonts).set(button_primary_background_fill="*primary_600"),
        # As `css` the style would reach nothing outside Gradio's components.
        head=f"<style>{_STYLE}</style><script>{_SCRIPT}</script>",
    )


def _lay_out():
    """The `_Parts`, in their places."""
    gradio.Markdown("# keras-attention")
    with gradio.Row():
        name = gradio.Dropdown(label="Model", allow_custom_value=True, elem_id="model")
        text = gradio.Textbox(
            label="Text",
            placeholder="a date or a sentence",
            max_lines=1,
            scale=3,
            min_width=280,
            autofocus=True,
            elem_id="text",
        )
    examples = gradio.Dataset(
        components=["textbox"], samples=[[example] for example in EXAMPLES], label="Examples", visible=False,
        samples_per_page=len(EXAMPLES), elem_id="examples",
    )  # fmt: skip
    story = gradio.Textbox(label="Story, a sentence a line", lines=6, max_lines=20, visible=False, elem_id="story")
    button = gradio.Button("Convert", variant="primary", elem_id="convert")
    answer = gradio.HTML(elem_id="conversion", apply_default_css=False)
    return _Parts(name, text, examples, story, button, answer)


def _connect(parts, blocks, store, predictor):
    """Says what happens when the page is opened, and when a reader does something."""

    def offer(chosen):
        names = store.names
        first = next((name for name in names if _inputs(store, name)), names[0] if names else None)
        return gradio.Dropdown(choices=names, value=chosen if chosen in names else first)

    def fit(name):
        asks, dates = _inputs(store, name) == STORY_INPUTS, _reads_dates(store, name)
        label = "Question" if asks else "Date" if dates else "Text"
        return gradio.Textbox(visible=asks), gradio.Textbox(label=label), gradio.Dataset(visible=dates)

    def convert(name, text, story):
        return answer_html(store, predictor, name, text, story)

    name, text, examples, story, button, answer = parts
    options = {"queue": False, "api_visibility": "private"}  # one request each, which no connection outlives
    blocks.load(offer, name, name, show_progress="hidden", **options)
    name.change(fit, name, [story, text, examples], show_progress="hidden", **options)
    taken = examples.click(lambda sample: sample[0], examples, text, show_progress="hidden", **options)
    taken.then(convert, [name, text, story], answer, **options)
    gradio.on([button.click, text.submit], convert, [name, text, story], answer, api_name="convert", **options)


def answer_html(store, predictor, name, text, story=""):
    """What a model makes of a text, or of a story and a question, as HTML; what is wrong, if there is anything.

    Args:
        store: store of the models.
        predictor: `Predictor` with the limits.
        name: name of the model.
        text: to convert, or the question.
        story: sentences, one a line, for a model that answers questions.
    """
    if not text:
        return error_html("There is nothing to convert yet. Type a text.")
    sentences = [line.strip() for line in (story or "").splitlines() if line.strip()]
    try:
        servable = store.get(name)
        kind = _inputs(store, name)
        if kind is None:
            raise RequestError(400, f"{name} is no model of this package, from text to text: ask it by the protocol.")
        if kind == INPUTS:
            outputs = predictor.predict(servable, SIGNATURE, {"text": _strings([text])})
        elif sentences:
            inputs = {"story": _strings(sentences)[None], "question": _strings([text])}
            outputs = predictor.predict(servable, SIGNATURE, inputs)
        else:
            return error_html("There is no story yet. Type a sentence in a line.")
    except RequestError as error:
        return error_html(error.message)
    except Exception:
        LOG.exception("a fault of the server")
        return error_html("Internal error")
    about = f"{name}, version {servable.version}"
    if kind == INPUTS:
        (conversion,) = conversions_from(outputs)
        return conversion_html(conversion, about, _reads_dates(store, name))
    answer = outputs["answer"][0].decode("utf-8")
    head = _head_html(answer, float(outputs["log_prob"][0]), about)
    weights = outputs["weights"][0]
    hops = [f"hop {number}" for number in range(1, len(weights) + 1)]
    explorer = _explorer_html(attention_page(weights, sentences, hops, title=text))
    return f"{head}<h2>Attention</h2>{story_html(sentences, weights)}{explorer}"


def _strings(texts):
    return np.array([text.encode("utf-8", errors="replace") for text in texts], object)


def _head_html(text, log_prob, about, nothing="(nothing)"):
    return (
        f'<p class="answer" role="status"><bdi dir="auto">{escaped(text) or nothing}</bdi></p>'
        f'<p class="about">probability {_percent(log_prob)} · {escaped(about)}</p>'
    )


def conversion_html(conversion, about, is_date=False):
    """A conversion as HTML: result, probability, the other results, attention.

    Args:
        conversion: a `Conversion`.
        about: what it is from.
        is_date: whether it is a reading of a date, which may be none, or unsure.
    """
    nothing = "no date" if is_date else "(nothing)"
    parts = [_head_html(conversion.text, conversion.log_prob, about, nothing)]
    if is_date and math.exp(conversion.log_prob) < UNSURE:
        parts.append('<p class="unsure">Not sure: another reading is possible.</p>')
    if conversion.truncated:
        parts.append('<p class="about">The text was too long for the model: its end was cut off.</p>')
    if conversion.finished is False:
        parts.append('<p class="about">The result was ended by the limit of its length.</p>')
    if len(conversion.n_best) > 1:
        rows = "".join(
            f'<tr><td><bdi dir="auto">{escaped(text) or nothing}</bdi></td><td>{_percent(log_prob)}</td></tr>'
            for text, log_prob in conversion.n_best
        )
        title = "Readings" if is_date else "Best results"
        parts.append(f'<h2>{title}</h2><table class="results"><tbody>{rows}</tbody></table>')
    if 0 < conversion.weights.size <= LARGEST:
        explored = (
            conversion if np.size(conversion.head_weights) <= MOST_WEIGHTS else conversion._replace(head_weights=None)
        )
        explorer = _explorer_html(attention_page(explored))
        parts.append(f"<h2>Attention</h2>{attention_html(conversion)}{explorer}")
    elif conversion.weights.size:
        target, source = conversion.weights.shape
        parts.append(f'<p class="about">{target:,} by {source:,} weights of attention are too many to show.</p>')
    return "".join(parts)


def _explorer_html(page):
    """The explorer of attention in a frame, in which it runs by itself and reaches nothing of this page."""
    return (
        "<details open><summary>Explore in both directions</summary>"
        f'<iframe title="explorer of attention" sandbox="allow-scripts" srcdoc="{escaped(page)}"></iframe></details>'
    )


def error_html(message):
    """What went wrong, as HTML."""
    return f'<p class="error" role="alert">{escaped(textwrap.shorten(message, 500, placeholder=" …"))}</p>'


def _inputs(store, name):
    """What a model of this package that the page can ask takes: `INPUTS` or `STORY_INPUTS`; None of another."""
    try:
        signatures = store.get(name).signatures
    except RequestError:  # gone in the meantime
        return None
    if SIGNATURE not in signatures:
        return None
    signature = signatures[SIGNATURE]
    if set(signature.inputs) == set(STORY_INPUTS):
        return STORY_INPUTS
    return INPUTS if signature.is_text else None


def _reads_dates(store, name):
    """Whether a model of this package reads dates, which its hints tell."""
    return _inputs(store, name) == INPUTS and set(store.get(name).signatures[SIGNATURE].inputs) >= DATE_HINTS


def _percent(log_prob):
    return f"{100 * math.exp(log_prob):.3g} %"
