"""What several subcommands share: how flags are read and shown, and the flags of a search.

What needs TensorFlow is imported inside the functions, as everywhere in this package.
"""

import argparse
import dataclasses
import json
import math
import os
import sys

DRAWING_FLAGS = ("temperature", "top_k", "top_p", "seed")
STRATEGY_FLAGS = ("beam", "length_penalty", "coverage_penalty", "n_best", "sample", *DRAWING_FLAGS)


class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows each flag's default, where it has one, and examples as they are written."""

    def _get_help_string(self, action):
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)


def add_command(commands, name, help, *examples, description=None):
    """The parser of a subcommand.

    Args:
        commands: what `add_subparsers` gave.
        name: name of the subcommand.
        help: one line, in the list of subcommands.
        *examples: command lines, without the program's name.
        description: description of the subcommand's own help; the line of `help` by default.
    """
    shown = "\n".join(f"  keras-attention {example}" for example in examples)
    parser = commands.add_parser(
        name,
        help=help,
        description=description or f"{help[0].upper()}{help[1:]}.",
        epilog=f"example{'s' if len(examples) > 1 else ''}:\n{shown}",
        formatter_class=Formatter,
    )
    parser.set_defaults(parser=parser)
    return parser


def positive(text):
    """An integer of at least one."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {number}")
    return number


def seconds(text):
    """A time that is longer than none and ends."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, received {text}")
    return number


def as_typed(text):
    """The bytes of an argument, whatever encoding Python took them for."""
    return os.fsencode(text)


def progress():
    """How much `fit` says: a bar on a terminal, a line a round in a file."""
    return 1 if sys.stdout.isatty() else 2


def setting(text):
    """`(name, value)` of `name=value`; the value is JSON's, or else a string."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, such as score=dot, received {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def flag_of(name):
    """What the command line calls an argument."""
    return "--" + name.replace("_", "-")


def add_settings(parser, record):
    """The fields of a record as flags; `settings_of` reads them."""
    for field in dataclasses.fields(record):
        more = dict(field.metadata)
        flag, kind = flag_of(more.pop("flag") or field.name), more.pop("type") or type(field.default)
        kind = positive if kind is int and field.default != 0 else kind
        how = {"action": "store_true"} if kind is bool else {"type": kind, "default": field.default}
        parser.add_argument(flag, dest=field.name, **how, **more)


def settings_of(options, record):
    """A record of what the flags say."""
    return record(**{field.name: getattr(options, field.name) for field in dataclasses.fields(record)})


def add_run(parser, folder):
    """The flags of a training's folder."""
    parser.add_argument("--run", metavar="FOLDER", dest="folder", default=folder, help="output folder of the run")
    parser.add_argument(
        "--may-change",
        metavar="NAME",
        nargs="+",
        default=[],
        help="settings that may differ from those in run.json when a run is resumed",
    )


def add_model(parser, required=False):
    """The flag that says what to use; without it, unless it is required, the reader of dates that ships."""
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        required=required,
        help="exported model, or output folder of a training run"
        + ("" if required else " (default: the reader of dates that comes with the package)"),
    )


def add_encoding(parser):
    """The flag of the encoding in which a command reads text."""
    parser.add_argument("--encoding", default="utf-8", help="encoding of the text that is read, such as cp1252")


def add_strategy(parser):
    """The flags of a search; `strategy_of` reads them."""
    parser.add_argument("--beam", type=positive, default=None, help="beam width; 1 is greedy search")
    parser.add_argument(
        "--length-penalty", type=float, default=None, help="length penalty alpha; above 0 favours longer results"
    )
    parser.add_argument(
        "--coverage-penalty",
        type=float,
        default=None,
        help="coverage penalty beta; above 0 penalises unattended source positions",
    )
    parser.add_argument("--n-best", type=positive, default=None, help="number of results per string, best first")
    parser.add_argument(
        "--sample", action="store_true", default=None, help="sample tokens at random instead of searching"
    )
    parser.add_argument(
        "--temperature", type=float, default=None, help="sampling temperature; below 1 favours probable tokens"
    )
    parser.add_argument("--top-k", type=positive, default=None, help="sample among the K most probable tokens")
    parser.add_argument(
        "--top-p", type=float, default=None, help="sample among the most probable tokens of total probability P"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=None,
        help="random seed of the samples; the same seed gives the same results",
    )


def strategy_of(options):
    """The strategy that the flags describe; None if none was given."""
    from keras_attention.decoding.strategies import Beam, Greedy, Sample

    given = {name: getattr(options, name) for name in STRATEGY_FLAGS if getattr(options, name) is not None}
    if not given:
        return None
    drawing = {name: given.pop(name) for name in DRAWING_FLAGS if name in given}
    if given.pop("sample", False):
        if given:
            raise ValueError(f"--sample does not go with --{', --'.join(given)}.".replace("_", "-"))
        return Sample(**drawing)
    if drawing:
        raise ValueError("--temperature, --top-k, --top-p and --seed need --sample.")
    width = given.pop("beam", given.get("n_best", 1))
    return Greedy() if width == 1 and not given.keys() - {"n_best"} else Beam(width, **given)
