"""What a path of the protocols leads to: a model, a version or a label of it, and what is asked of that."""

import re
from typing import NamedTuple
from urllib.parse import unquote

from keras_attention.serving.errors import RequestError

_VERSION = r"(?:/versions/(?P<version>[0-9]{1,20})|/labels/(?P<label>[^/:]+))?"
_SERVING = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}(?P<what>/metadata|:[A-Za-z]+)?")
_INFERENCE = re.compile(rf"/v2/models/(?P<name>[^/:]+){_VERSION}(?P<what>/[a-z]+)?")


class Place(NamedTuple):
    """What a path leads to.

    Attributes:
        name: name of a model.
        version: its number; None for the highest.
        label: label of a version; None if none is asked for.
        what: the rest of the path, such as `":predict"` or `"/metadata"`.
    """

    name: str
    version: int | None
    label: str | None
    what: str

    @property
    def of_model(self):
        """Name, version and label: the arguments of `ModelStore.get`."""
        return self[:3]


def raw_path(scope):
    """The path of a request as it was sent: `%2F` in a name does not divide it."""
    return (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]


def serving_place(method, path):
    """The `Place` of a path of TensorFlow Serving's protocol, `/v1/models/NAME...`.

    Raises:
        RequestError: 400 if it is none.
    """
    return _place(_SERVING, method, path)


def inference_place(method, path):
    """The `Place` of a path of the open inference protocol, `/v2/models/NAME...`.

    Raises:
        RequestError: 400 if it is none.
    """
    return _place(_INFERENCE, method, path)


def _place(pattern, method, path):
    found = pattern.fullmatch(path)
    if not found:
        raise RequestError(400, f"Malformed request: {method} {path}")
    version, label = found["version"], found["label"]
    if version is not None and int(version) >= 2**63:
        raise RequestError(400, f"Failed to convert version: {version} to numeric.")
    return Place(
        unquote(found["name"]),
        None if version is None else int(version),
        None if label is None else unquote(label),
        found["what"] or "",
    )
