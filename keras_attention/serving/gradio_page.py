"""The page: fill in what a model takes, and see what it makes of it and what it read."""

import os
from typing import NamedTuple

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # not of this page alone; read when it is imported

import gradio
from fastapi import FastAPI

from keras_attention.serving.errors import RequestError
from keras_attention.serving.page_answers import error_html
from keras_attention.serving.page_tasks import CONVERTED, DATED, FIELDS, ask, task_of

# For a reader of dates.
EXAMPLES = (
    "Freitag, 13. Juni 1997", "3 de mayo de 1979", "2024년 3월 5일", "٥ مارس ٢٠٢٤", "5 марта 2024 г.", "১৫ আগস্ট, ১৯৪৭",
    "令和6年3月5日", "november fourth 2019", "3/4/2021", "31 February 2020", "tomorrow",
)  # fmt: skip
LINES = {"story": 6, "history": 5, "past": 4, "future": 3}  # that a field shows, where it is not one

_STYLE = """\
.gradio-container { color-scheme: light; }
.dark .gradio-container, .gradio-container.dark { color-scheme: dark; }
.gradio-container .attention-map { color-scheme: inherit; --attention-paper: var(--body-background-fill);
  --attention-ink: var(--body-text-color); }
:is(#text, #history, #user) :is(textarea, input) { unicode-bidi: plaintext; }
#conversion { overflow-wrap: anywhere; }
#conversion .html-container { padding: 0.25rem 0; }
@media (max-width: 40rem) { .gradio-container .main.fillable.app { padding-inline: 0.75rem; } }
#conversion .answer { font-size: 1.6rem; line-height: 1.3; margin: 0 0 0.25rem; white-space: pre-wrap; }
#conversion .about { color: color-mix(in srgb, var(--body-text-color) 70%, transparent); margin: 0 0 1rem; }
#conversion .unsure { border-inline-start: 4px solid #d97706; padding: 0.5rem 0.75rem; margin: 0 0 1rem; }
#conversion .error { border-inline-start: 4px solid #dc2626; padding: 0.5rem 0.75rem; margin: 0; }
#conversion .results { border-collapse: collapse; margin: 0 0 1rem; }
#conversion .results th, #conversion .results td { padding: 0.15rem 1rem 0.15rem 0; border: 0; text-align: start; }
#conversion .results :is(th, td):not(:first-child) { text-align: end; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
#conversion .results thead th { color: color-mix(in srgb, var(--body-text-color) 70%, transparent); font-weight: 400; }
#conversion .series { display: block; width: 100%; max-width: 30rem; margin: 0 0 1rem; fill: none;
  stroke: color-mix(in srgb, var(--body-text-color) 60%, transparent); stroke-width: 1.5; }
#conversion .series .ahead { stroke: var(--primary-500); stroke-width: 2.5; }
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
    fields: dict  # by the names in `FIELDS`
    examples: gradio.Dataset
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
    fields = {"text": text} | {field: _laid_out(field) for field in FIELDS if field != "text"}
    button = gradio.Button("Convert", variant="primary", elem_id="convert")
    answer = gradio.HTML(elem_id="conversion", apply_default_css=False)
    return _Parts(name, fields, examples, button, answer)


def _laid_out(field):
    """A field below the first line, which is shown for the models that take it."""
    if field == "count":
        return gradio.Number(precision=0, visible=False, elem_id=field)
    lines = LINES.get(field, 1)
    return gradio.Textbox(lines=lines, max_lines=max(lines, 20) if lines > 1 else 1, visible=False, elem_id=field)


def _connect(parts, blocks, store, predictor):
    """Says what happens when the page is opened, and when a reader does something."""

    def offer(chosen):
        names = store.names
        servables = {name: _servable(store, name) for name in names}
        first = next((name for name, one in servables.items() if one and task_of(one)), names[0] if names else None)
        return gradio.Dropdown(choices=names, value=chosen if chosen in names else first)

    def fit(name):
        servable = _servable(store, name)
        task = (servable and task_of(servable)) or CONVERTED
        fields = task.fields(servable)
        shown = [_fitted(fields.get(field)) for field in FIELDS]
        return [gradio.Button(task.verb), gradio.Dataset(visible=task is DATED), *shown]

    def convert(name, *typed):
        try:
            servable = store.get(name)
        except RequestError as error:
            return error_html(error.message)
        return ask(predictor, servable, dict(zip(FIELDS, typed, strict=True)))

    name, fields, examples, button, answer = parts
    inputs, text = [name, *fields.values()], fields["text"]
    options = {"queue": False, "api_visibility": "private"}  # one request each, which no connection outlives
    blocks.load(offer, name, name, show_progress="hidden", **options)
    name.change(fit, name, [button, examples, *fields.values()], show_progress="hidden", **options)
    taken = examples.click(lambda sample: sample[0], examples, text, show_progress="hidden", **options)
    taken.then(convert, inputs, answer, **options)
    asked = [button.click, *(field.submit for field in fields.values())]
    gradio.on(asked, convert, inputs, answer, api_name="convert", **options)


def _servable(store, name):
    """A model to ask; None of one that is gone in the meantime."""
    try:
        return store.get(name)
    except RequestError:
        return None


def _fitted(field):
    """What changes of a component when it becomes a `Field`, or nothing is asked in it."""
    if field is None:
        return gradio.update(visible=False)
    return gradio.update(visible=True, label=field.label, **({} if field.example is None else {"value": field.example}))
