"""A functional model in a `.keras` file: its layers, what each reads, and its weights; no object is made of it."""

import io
import json
import re
import zipfile
from typing import Any, NamedTuple

import numpy as np


class SavedLayer(NamedTuple):
    """A layer of a saved model; one in a `TimeDistributed` stands for it.

    Attributes:
        name: its name in the model.
        kind: name of its class.
        config: dict of its constructor's arguments.
        sources: names of the layers that it reads, in order.
        place: group of its weights in the file.
    """

    name: str
    kind: str
    config: Any
    sources: Any
    place: str


class Archive:
    """A functional model in a `.keras` file.

    Args:
        file: path of the file.

    Raises:
        ValueError: for a file that is no such model.
    """

    def __init__(self, file):
        self.file = file
        try:
            with zipfile.ZipFile(file) as content:
                model = json.loads(content.read("config.json"))
                self._weights = content.read("model.weights.h5")
            if model["class_name"] != "Functional":
                raise ValueError(f"the model is {model['class_name']}")
            self.layers = {layer.name: layer for layer in _layers(model["config"]["layers"])}
            self.output = self._one_of(model["config"]["output_layers"])
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{file} must be a functional model in Keras' format .keras: {error}") from error

    def source(self, layer, *kinds):
        """The one layer that another reads, which must be of some kinds."""
        self.check(len(layer.sources) == 1, f"{layer.name} reads {', '.join(layer.sources)}, expected one layer")
        found = self.layers[layer.sources[0]]
        self.check(found.kind in kinds, f"{layer.name} reads {found.kind}, expected {' or '.join(kinds)}")
        return found

    def check(self, condition, what):
        """Raises a ValueError that says what was expected, unless a condition holds."""
        if not condition:
            raise ValueError(f"{self.file} is of another architecture: {what}.")

    def arrays(self, place):
        """The weights of a place, in order."""
        import h5py  # comes with Keras

        with h5py.File(io.BytesIO(self._weights)) as content:
            group = content.get(f"{place}/vars")
            self.check(group is not None, f"it has no weights {place}/vars")
            return [np.asarray(group[str(index)], "float32") for index in range(len(group))]

    def _one_of(self, outputs):
        outputs = outputs if isinstance(outputs[0], list) else [outputs]
        if len(outputs) != 1:
            raise ValueError(f"it has {len(outputs)} outputs, expected one")
        return self.layers[outputs[0][0]]


def _layers(configs):
    """The layers, with the places that Keras gives their weights: by class, counted."""
    counts = {}
    for each in configs:
        kind, config = each["class_name"], each["config"]
        short = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
        number = counts[short] = counts.get(short, -1) + 1
        place = f"layers/{short}_{number}" if number else f"layers/{short}"
        if kind == "TimeDistributed":
            kind, config, place = config["layer"]["class_name"], config["layer"]["config"], f"{place}/layer"
        sources = list(dict.fromkeys(_histories(each["inbound_nodes"])))
        yield SavedLayer(each["name"], kind, config, sources, place)


def _histories(node):
    """The names of the layers whose outputs are anywhere in the arguments of a call."""
    if isinstance(node, list):
        for each in node:
            yield from _histories(each)
    elif isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            yield node["config"]["keras_history"][0]
        else:
            yield from _histories(list(node.values()))
