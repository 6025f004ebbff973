"""Vocabularies that others have pickled, read without running any code of theirs.

A pickle may name any function and have it called. Here no name is ever looked
up: the mappings of `collections` are plain dicts, and an object of any class is a
`Record` of its attributes.
"""

import pickle


class Record:
    """What a pickle says of an object: its attributes, in `vars`."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        if isinstance(state, dict):
            vars(self).update(state)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module == "collections" and name in ("OrderedDict", "Counter"):
            return dict
        if (module, name) == ("collections", "defaultdict"):
            return lambda factory=None, *items: dict(*items)
        return type(name, (Record,), {})


def read_pickle(file):
    """What a pickle holds: plain containers, strings, numbers, and a `Record` of each object of a class.

    Args:
        file: a path.

    Raises:
        ValueError: for a file that is no pickle, or that needs more than that.
    """
    try:
        with open(file, "rb") as content:
            return _PlainUnpickler(content).load()
    except Exception as error:  # whatever a broken or hostile file makes of the machine that reads it
        raise ValueError(
            f"{file} must be a pickle of plain data: dicts, lists, strings, numbers, and objects with attributes; "
            f"nothing else is read. {type(error).__name__}: {error}"
        ) from error
