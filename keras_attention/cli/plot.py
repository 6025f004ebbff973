"""The subcommand `plot`: the attention of one answer of a model of any task.

What needs TensorFlow is imported inside the functions, as everywhere in this package.
"""

import contextlib
import json
import textwrap

from keras_attention.cli.common import add_command, add_model, as_typed

_LONGEST = 80  # characters of what was asked, and of the answer, in a title


def add_plot(commands):
    plot = add_command(
        commands,
        "plot",
        "plot the attention weights of one answer",
        'plot "3 de mayo de 1979" --output attention.png',
        'plot "3 de mayo de 1979" --html attention.html',
        "plot --model saved_models/sales --html attention.html",
        """plot --model saved_models/shop '{"history": ["tea", "milk"]}' --html attention.html""",
        """plot --model runs/qa1 '{"story": ["Mary left."], "question": "Where is Mary?"}' --html attention.html""",
        description="Plots the attention weights of one answer of a model of any task: a text and its result, a "
        "question and the sentences of its story, a forecast and the past, recommended items and a history.",
    )
    add_model(plot)
    plot.add_argument(
        "text",
        metavar="TEXT",
        nargs="?",
        help="string to convert; for questions, forecasts and recommendations the inputs as one JSON object, the "
        "instance that the REST API takes (default for these: the example that an export of the model carries)",
    )
    files = plot.add_mutually_exclusive_group()
    files.add_argument("--output", metavar="FILE", default="attention.png", help="image file to write")
    files.add_argument(
        "--html", metavar="FILE", help="write one HTML file instead, on which layer and head can be chosen"
    )
    plot.set_defaults(run=_plot)


def _plot(options):
    from keras_attention.conversion import Converter
    from keras_attention.tasks import TextToText, load

    task = load(options.model)
    if options.html and isinstance(task, TextToText):
        task.head_weights = True
    ask = _convert if isinstance(task, Converter) else _answer
    plotted, asked, found = ask(task, options.text)
    (_write_page if options.html else _write_picture)(plotted, options.html or options.output)
    print(f"{options.html or options.output}: {asked} -> {found}")


def _convert(converter, text):
    """What is to be plotted of a text's conversion, the text and the result."""
    if text is None:
        raise ValueError("plot: expected the string to convert, as TEXT. Received none, and the model reads texts.")
    text = as_typed(text)
    conversion = converter(text)
    return {"weights": conversion}, text.decode("utf-8", "replace"), conversion.text


def _answer(task, text):
    """What is to be plotted of an answer to the inputs in a JSON object, what was asked and the answer."""
    from keras_attention.export.signature import HISTORIES, SERIES, STORIES, task_signature_of

    specs = task.input_specs
    expected = f"one JSON object, as the REST API takes it, such as '{_instance_of(specs)}'"
    inputs = _inputs(specs, _example(task, expected) if text is None else _parsed(text, specs, expected))
    outputs = task.run(**{name: tensor[None] for name, tensor in inputs.items()})
    names = task_signature_of(inputs, outputs)
    if names is None:
        raise ValueError(
            f"plot: expected a model of texts, questions, series or histories. Received a {type(task).__name__} that "
            f"gives {', '.join(outputs)}. Plot its weights with `attention_page` in Python."
        )
    shown = {STORIES.name: _of_answer, SERIES.name: _of_forecast, HISTORIES.name: _of_recommendation}
    attended, asked, found = shown[names.name]({name: tensor.numpy() for name, tensor in inputs.items()}, outputs)
    if not attended.weights.any():
        raise ValueError(
            "plot: there are no weights but zeros. The model has no attention, or knows nothing of what it was given: "
            "give what it was trained with."
        )
    asked, found = (textwrap.shorten(each, _LONGEST, placeholder=" …") for each in (asked, found))
    return attended._asdict() | {"title": f"{asked} → {found}"}, asked, found


def _of_answer(inputs, outputs):
    from keras_attention.visualization.attended import answer_attended

    attended = answer_attended(outputs["weights"][0], _texts(inputs["story"]))
    return attended, inputs["question"].decode("utf-8"), outputs["answer"][0].decode("utf-8")


def _of_forecast(inputs, outputs):
    from keras_attention.visualization.attended import forecast_attended

    steps = (" ".join(f"{value:.4g}" for value in step) for step in outputs["forecast"][0])
    return forecast_attended(outputs["weights"][0]), f"{len(inputs['past'])} steps", ", ".join(steps)


def _of_recommendation(inputs, outputs):
    from keras_attention.recommend import recommendations_from
    from keras_attention.visualization.attended import recommendation_attended

    history = _texts(inputs["history"])
    (found,) = recommendations_from(outputs, [history])
    return recommendation_attended(found, history), ", ".join(history), ", ".join(found.items)


def _example(task, expected):
    """A row of the first warm-up request that an export carries, or that one of a run would, arrays by name."""
    from keras_attention.export.warmup import first_example
    from keras_attention.tasks import Task

    example = {}
    if isinstance(task, Task):
        with contextlib.suppress(NotImplementedError):  # what cannot be exported
            example = next(iter(task.warmup()), {})
    else:
        example = first_example(task.folder)
    if not example:
        raise ValueError(f"plot: expected {expected}, as TEXT. Received none, and the model carries no example.")
    return {name: rows[0] for name, rows in example.items()}


def _parsed(text, specs, expected):
    """The object of a JSON text, which names all inputs and no other."""
    try:
        instance = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"plot: TEXT must be {expected}. Received what is not JSON: {text[:_LONGEST]!r}.") from None
    if not isinstance(instance, dict) or instance.keys() != set(specs):
        received = ", ".join(map(repr, instance)) or "no names" if isinstance(instance, dict) else repr(instance)
        raise ValueError(f"plot: TEXT must be {expected}. Received {received[:_LONGEST]}.")
    return instance


def _inputs(specs, instance):
    """The inputs of one instance as tensors without a batch axis, strings that are empty left out."""
    import numpy as np
    import tensorflow as tf

    from keras_attention.tasks.task import as_tensor

    inputs = {}
    for name, spec in specs.items():
        try:
            tensor = as_tensor("plot", name, tf.TensorSpec(spec.shape[1:], spec.dtype), instance[name])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{error} Give one instance, such as '{_instance_of(specs)}'.") from error
        if tensor.dtype == tf.string and tensor.shape.rank:
            tensor = tf.boolean_mask(tensor, tensor != "")
        if 0 in tensor.shape or (tensor.dtype.is_floating and not np.isfinite(tensor).all()):
            kind = "finite numbers, at least one" if tensor.dtype.is_floating else "at least one text"
            raise ValueError(
                f"plot: {name} must hold {kind}. Received {instance[name]!r:.80}. Give one instance, such as "
                f"'{_instance_of(specs)}'."
            )
        inputs[name] = tensor
    return inputs


def _instance_of(specs):
    """JSON of an instance that a signature takes, with one step of each axis that is open."""
    import numpy as np

    shapes = {name: [size or 1 for size in spec.shape[1:]] for name, spec in specs.items()}
    fill = {name: "..." if spec.dtype.name == "string" else 0.0 for name, spec in specs.items()}
    return json.dumps({name: np.full(shape, fill[name]).tolist() for name, shape in shapes.items()})


def _texts(strings):
    return [text.decode("utf-8") for text in strings]


def _write_page(plotted, file):
    from keras_attention.visualization.explorer import attention_page

    page = attention_page(**plotted)
    with open(file, "w", encoding="utf-8") as out:
        out.write(page)


def _write_picture(plotted, file):
    import matplotlib

    matplotlib.use("Agg")
    from keras_attention.conversion import Conversion
    from keras_attention.visualization.heatmaps import plot_attention

    weights = plotted["weights"]
    if not isinstance(weights, Conversion):  # else it has their mean already
        weights = weights.mean(axis=tuple(range(weights.ndim - 2)))
    plot_attention(**plotted | {"weights": weights}).savefig(file, dpi=150)
