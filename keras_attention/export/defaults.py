"""Inputs of a signature that a client may leave out: what they are then, as the SavedModel itself says.

TensorFlow Serving reads the defaults of a signature; TensorFlow in Python does
not, so that what loads an export there fills them in.
"""

import numpy as np
import tensorflow as tf

from keras_attention.export.description import read_description, write_description


def write_defaults(folder, defaults):
    """Writes what inputs are where a client leaves them out.

    Args:
        folder: folder of the SavedModel.
        defaults: dict of `(value, dtype)` by the name of the input, whose shape
            is `(batch,)`: one row, which stands for each.
    """
    saved = read_description(folder)
    for graph in saved.meta_graphs:
        for definition in graph.signature_def.values():
            for name, (value, dtype) in defaults.items():
                if name in definition.inputs:
                    definition.defaults[name].CopyFrom(tf.make_tensor_proto([value], dtype))
    write_description(folder, saved)


def read_defaults(folder):
    """What inputs are where they are left out: dict of arrays of one row by name, by the name of the signature."""
    return {
        name: {key: tf.make_ndarray(value) for key, value in definition.defaults.items()}
        for graph in read_description(folder).meta_graphs
        for name, definition in graph.signature_def.items()
    }


def filled(inputs, defaults):
    """Inputs with those that were left out, a row for each row of the others.

    Args:
        inputs: dict of arrays.
        defaults: dict of arrays of one row.
    """
    missing = [name for name in defaults if name not in inputs]
    if not missing or not inputs:
        return inputs
    rows = len(next(iter(inputs.values())))
    return inputs | {name: np.repeat(defaults[name], rows, axis=0) for name in missing}
