"""The subcommand `export`: to a SavedModel, or to another engine.

What needs TensorFlow is imported inside the functions, as everywhere in this package.
"""

import pathlib

from keras_attention.cli.common import add_command, add_strategy, strategy_of
from keras_attention.settings import DTYPES, QUANTIZATIONS


def add_export(commands):
    export = add_command(
        commands,
        "export",
        "write a SavedModel that takes strings",
        "export runs/en_de saved_models/en_de --beam 4 --length-penalty 0.6",
    )
    export.add_argument("folder", metavar="RUN", help="output folder of a training run")
    export.add_argument("target", metavar="MODEL", help="model folder; the next version is created in it")
    export.add_argument(
        "--head-weights", action="store_true", help="also export the attention weights of each layer and head"
    )
    export.add_argument(
        "--format",
        choices=("savedmodel", "ctranslate2"),
        default="savedmodel",
        help="SavedModel, or a folder for the engine CTranslate2 (a Transformer only)",
    )
    export.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        help="weights of a CTranslate2 export (default: float32)",
    )
    export.add_argument(
        "--dtype",
        choices=DTYPES,
        help="dtype of the weights of a Transformer; bfloat16 halves the file, and is faster in batches on some "
        "processors (default: that of the run)",
    )
    export.add_argument("--shortlist", metavar="FILE", help="shortlist of the target tokens to choose from")
    add_strategy(export)
    export.set_defaults(run=_export)


def _export(options):
    from keras_attention.tasks import Task
    from keras_attention.tasks.shortlists import with_shortlist

    given = {"strategy": strategy_of(options), "head_weights": options.head_weights}
    if options.format == "ctranslate2":
        _export_ctranslate2(options)
        return
    if options.quantization:
        raise ValueError("--quantization is for --format ctranslate2.")
    task = Task.load(options.folder, **{name: value for name, value in given.items() if value})
    if options.dtype:
        task = _in_dtype(task, options.dtype)
    if options.shortlist:
        task = with_shortlist(task, options.shortlist)
    version = task.export(options.target)
    print(f"Exported and checked: {version}")


def _in_dtype(task, dtype):
    if not hasattr(task, "with_dtype"):
        raise ValueError(f"--dtype is for translators. Received a {type(task).__name__}.")
    return task.with_dtype(dtype)


def _export_ctranslate2(options):
    from keras_attention.engines import export_ctranslate2
    from keras_attention.tasks import TextToText

    if options.dtype:
        raise ValueError("--dtype is for a SavedModel. Give --quantization to --format ctranslate2.")
    if options.shortlist or options.head_weights or strategy_of(options):
        raise ValueError("--format ctranslate2 takes no shortlist, no weights and no strategy: its own API has them.")
    folder = pathlib.Path(options.target)
    export_ctranslate2(TextToText.load(options.folder), folder, options.quantization)
    checked = "" if options.quantization else " and checked"
    print(f"Exported{checked}: {folder}")
