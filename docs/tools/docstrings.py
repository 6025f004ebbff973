"""Makes the docstrings of this package readable for Griffe, which knows Google's sections and nothing of doctests."""

import re
import textwrap

import griffe

ARGS = re.compile(r"^(Args|Call args):\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)
REFERENCE = re.compile(r"^Reference: (.*(?:\n[ ]{4,}.*)*)", re.MULTILINE)
ITEM = re.compile(r"^(\*{0,2}[\w, *]+): ", re.MULTILINE)
DOCTEST = re.compile(r"(?:^>>>.*\n?(?:^(?!\s*$|>>>).*\n?)*)+", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites every docstring once, when it is found."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)


def readable(docstring):
    """A docstring with its examples as blocks of code and its arguments as lists."""
    docstring = ARGS.sub(_listed, docstring)
    docstring = REFERENCE.sub(lambda match: f"**Reference:** {' '.join(match[1].split())}", docstring)
    return DOCTEST.sub(lambda match: f"\n```pycon\n{match[0].rstrip()}\n```\n", docstring)


def _listed(match):
    title, lines = match.groups()
    items = re.split(r"\n(?=\S)", textwrap.dedent(lines).strip())
    named = (ITEM.sub(r"`\1`: ", " ".join(item.split()), count=1) for item in items)
    return f"**{title}:**\n\n" + "".join(f"- {item}\n" for item in named) + "\n"
