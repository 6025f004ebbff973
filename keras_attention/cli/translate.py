"""The subcommand `translate`.

What needs TensorFlow is imported inside the functions, as everywhere in this package.
"""

import contextlib
import math
import sys

from keras_attention.cli.common import (
    add_command,
    add_encoding,
    add_model,
    add_strategy,
    as_typed,
    positive,
    strategy_of,
)
from keras_attention.cli.outputs import as_alignment, as_json


def add_translate(commands):
    translate = add_command(
        commands,
        "translate",
        "translate text line by line",
        "translate --model runs/en_de news.en --beam 5 --output news.de",
        description="Translates a file or standard input line by line. With --n-best N, each line gives N lines.",
    )
    add_model(translate, required=True)
    translate.add_argument(
        "--with",
        dest="others",
        metavar="RUN",
        nargs="+",
        default=[],
        help="other runs with the same vocabularies; probabilities are averaged (--model must be a run too)",
    )
    translate.add_argument("file", metavar="FILE", nargs="?", help="text file, plain or .gz (default: standard input)")
    add_encoding(translate)
    translate.add_argument("--output", metavar="FILE", help="file to write (default: standard output)")
    translate.add_argument("--batch-size", type=positive, default=64, help="number of lines per batch")
    translate.add_argument(
        "--unsorted", action="store_true", help="translate lines in input order, without grouping by length"
    )
    translate.add_argument(
        "--long", choices=("truncate", "refuse"), default="truncate", help="what to do with lines over the length limit"
    )
    translate.add_argument("--prefix", help="text that each translation must begin with")
    translate.add_argument(
        "--log-prob", action="store_true", help="print the log-probability and a tab before each line"
    )
    translate.add_argument("--json", action="store_true", help="print a line of JSON, with tokens, for each line")
    translate.add_argument(
        "--alignments",
        metavar="FILE",
        help="file for the most attended source token of each token, as 0-0 2-1; for JSON lines with all weights, "
        "if it ends in .jsonl",
    )
    add_strategy(translate)
    translate.set_defaults(run=_translate)


def _translate(options):
    from keras_attention.tasks import TextToText, load

    if options.others:
        task = TextToText.load(options.model, strategy_of(options)).together_with(
            [TextToText.load(other) for other in options.others]
        )
    else:
        task = load(options.model, strategy_of(options))
    prefix = None if options.prefix is None else as_typed(options.prefix)
    number, out, aligned = 0, None, None
    with contextlib.ExitStack() as stack:
        for lines in _lines(options):
            conversions = task(lines, batch_size=options.batch_size, prefix=prefix)
            for line, conversion in enumerate(conversions, start=number + 1):
                if conversion.truncated:
                    _tell_of_long_line(line, len(conversion.source_tokens), options)
            number += len(lines)
            if out is None:  # a file is not touched before there is something to write
                out = _opened(stack, options.output) or sys.stdout
                aligned = _opened(stack, options.alignments)
            for conversion in conversions:
                out.writelines(_written(conversion, options))
                if aligned:
                    with_weights = options.alignments.endswith(".jsonl")
                    line = as_json(conversion, weights=True) if with_weights else as_alignment(conversion)
                    aligned.write(f"{line}\n")
            out.flush()
        if out is None and options.output:
            open(options.output, "w").close()


def _opened(stack, file):
    """A file to write, which is closed with the stack; None for none."""
    return stack.enter_context(open(file, "w", encoding="utf-8")) if file else None


def _lines(options):
    """Lists of lines to translate: all in one, so that lines of one length go together; else each as it comes."""
    from keras_attention.data.pairs import lines_as_they_come, read_lines

    if options.file:
        come = [read_lines(options.file, encoding=options.encoding)]
    else:
        given = lines_as_they_come(sys.stdin.buffer, "standard input", encoding=options.encoding)
        come = ([line.strip() for line in lines] for lines in given)
    if not options.unsorted:
        come = [[line for lines in come for line in lines]]
    for lines in come:
        step = options.batch_size if options.unsorted else max(1, len(lines))
        yield from (lines[begin : begin + step] for begin in range(0, len(lines), step))


def _tell_of_long_line(number, read, options):
    message = f"line {number} is longer than the {read} tokens that are read"
    if options.long == "refuse":
        written = "; the lines before its batch were written" if options.unsorted else "; nothing was written"
        raise ValueError(f"{message}{written}. Divide it, or use --long truncate.")
    print(f"keras-attention: {message}; the rest was left out.", file=sys.stderr)


def _written(conversion, options):
    """The lines of one conversion: as many as were asked for, empty where a search found fewer."""
    if options.json:
        yield f"{as_json(conversion)}\n"
        return
    results = [(conversion.text, conversion.log_prob)] if options.n_best is None else conversion.n_best
    missing = [("", -math.inf)] * ((options.n_best or 1) - len(results))
    for text, log_prob in [*results, *missing]:
        yield f"{log_prob:.4f}\t{text}\n" if options.log_prob else f"{text}\n"
