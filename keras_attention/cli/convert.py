"""The subcommand `convert`."""

import argparse
import math
import sys

from keras_attention.cli.common import add_command, add_encoding, add_model, as_typed
from keras_attention.cli.outputs import as_json

_DATE_FLAGS = ("locale", "day_first", "two_digit_from")


def add_convert(commands):
    convert = add_command(
        commands,
        "convert",
        "convert strings; dates of any language, if no model is given",
        'convert "2024년 3월 5일" "3 de mayo de 1979" "Freitag, 13. Juni 1997"',
        "convert --readings 3/4/2021",
        "convert --locale en_GB 3/4/2021",
        "convert --min-confidence 0.95 < dates.txt",
        "convert --model runs/names < names.txt",
        description="Converts strings, or standard input line by line. Without --model the strings are dates, as "
        "people write them in any language, and the results are ISO dates, or `no date`.",
    )
    add_model(convert)
    convert.add_argument(
        "texts", metavar="TEXT", nargs="*", help="strings to convert (default: the lines of standard input)"
    )
    add_encoding(convert)
    convert.add_argument(
        "--log-prob", action="store_true", help="print the log-probability and a tab before each result"
    )
    convert.add_argument("--json", action="store_true", help="print a line of JSON, with tokens, for each string")
    convert.add_argument(
        "--readings",
        action="store_true",
        help="print the best results of each string with their probabilities, separated by tabs",
    )
    convert.add_argument(
        "--min-confidence",
        metavar="P",
        type=_probability,
        default=0.0,
        help="print `not sure` instead of a result whose probability is below P",
    )
    dates = convert.add_argument_group("how dates are read")
    dates.add_argument("--locale", help="CLDR locale of the strings, such as de or en_US (default: not known)")
    order = dates.add_mutually_exclusive_group()
    order.add_argument("--day-first", action="store_true", default=None, help="3/4/2021 is 3 April")
    order.add_argument(
        "--month-first", dest="day_first", action="store_false", default=None, help="3/4/2021 is 4 March"
    )
    dates.add_argument(
        "--two-digit-from",
        metavar="YEAR",
        type=int,
        help="first of the hundred years that two digits may mean (default: 1950)",
    )
    convert.set_defaults(run=_convert)


def _convert(options):
    from keras_attention.data.pairs import lines_as_they_come
    from keras_attention.date_reading import ReadsDates
    from keras_attention.tasks import load

    task = load(options.model)
    hints = {name: getattr(options, name) for name in _DATE_FLAGS if getattr(options, name) is not None}
    reads_dates = isinstance(task, ReadsDates)
    if hints and not reads_dates:
        raise ValueError(
            "--locale, --day-first, --month-first and --two-digit-from are for readers of dates. "
            f"{options.model} is a {type(task).__name__}."
        )
    nothing = "no date" if reads_dates else ""
    come = lines_as_they_come(sys.stdin.buffer, "standard input", "replace", options.encoding)
    for text in map(as_typed, options.texts) if options.texts else (line for lines in come for line in lines):
        conversion = task(text, **hints)
        if options.json:
            print(as_json(conversion), flush=True)
            continue
        fields = [f"{conversion.log_prob:.4f}"] if options.log_prob else []
        sure = math.exp(conversion.log_prob) >= options.min_confidence
        fields.append((conversion.text or nothing) if sure else "not sure")
        if options.readings:
            fields += [f"{best or nothing} {100 * math.exp(log_prob):.3g} %" for best, log_prob in conversion.n_best]
        print("\t".join(fields), flush=True)


def _probability(text):
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, received {text}")
    return number
