"""What a layer of ours refuses, or warns of, before it computes: ragged tensors, and masks that were lost on the way.

A lost mask is found while a functional or sequential model is put together:
Keras notes in every symbolic tensor which layer made it from which others.
"""

import inspect
import sys
import warnings

import keras
from keras import tree
from keras.src.backend import get_keras_mask

# Layers of Keras that lose masks from 3.16 on; `keras_attention.layers` has each under its name. RNN, a base, is last.
KEPT_BY_OURS = (
    keras.layers.Bidirectional,
    keras.layers.TimeDistributed,
    keras.layers.LSTM,
    keras.layers.GRU,
    keras.layers.SimpleRNN,
    keras.layers.RNN,
)


class ChecksInputs:
    """Mixin, before a Keras layer: refuses ragged tensors; says, once, which layer lost the mask of an input."""

    def __call__(self, *args, **kwargs):
        tensors = tree.flatten((args, kwargs))
        refuse_ragged(self, tensors)
        if any(map(keras.utils.is_keras_tensor, tensors)) and not _is_given_a_mask(tensors, kwargs):
            for culprit in {
                id(found): found for found in map(_who_lost_the_mask, tensors) if found is not None
            }.values():
                warnings.warn(_lost_mask_message(self, culprit), UserWarning, stacklevel=2)
        return super().__call__(*args, **kwargs)


def refuse_ragged(owner, tensors):
    """Raises a TypeError if one of the tensors is ragged: its rows would be taken for rows of one length.

    Args:
        owner: the layer that received them.
        tensors: a flat list.
    """
    tensorflow = sys.modules.get("tensorflow")
    for tensor in tensors:
        symbolic = keras.utils.is_keras_tensor(tensor) and tensor.ragged
        if symbolic or (tensorflow is not None and isinstance(tensor, tensorflow.RaggedTensor)):
            raise TypeError(
                f"{type(owner).__name__}: inputs must be dense tensors. Received a ragged one of shape {tensor.shape}. "
                "Write `x.to_tensor()` and give the mask of its rows, `tf.sequence_mask(x.row_lengths())`."
            )


def _is_given_a_mask(tensors, kwargs):
    """Whether the caller takes care of masks, by position or by keyword."""
    by_name = [value for name, value in kwargs.items() if name.endswith("mask") and name != "use_causal_mask"]
    return any(value is not None for value in by_name) or any(
        keras.utils.is_keras_tensor(tensor) and tensor.dtype == "bool" for tensor in tensors
    )


def _who_lost_the_mask(tensor):
    """The operation, on the way to a symbolic tensor, that had a mask of its positions and did not pass it on."""
    waiting, seen = [tensor], set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen or not keras.utils.is_keras_tensor(tensor) or get_keras_mask(tensor) is not None:
            continue
        seen.add(id(tensor))
        operation, index, _ = getattr(tensor, "_keras_history", (None, 0, 0))
        if operation is None or any(map(_has_spoken, operation._outbound_nodes)):
            continue
        sources = [
            source for source in operation._inbound_nodes[index].input_tensors if _same_positions(source, tensor)
        ]
        if all(get_keras_mask(source) is None for source in sources):
            waiting += sources
        elif not (isinstance(operation, keras.layers.Layer) and operation.supports_masking):
            return operation
    return None


def _has_spoken(node):
    """Whether a layer of ours read the same before, and has said so."""
    arguments = node.arguments
    return isinstance(node.operation, ChecksInputs) and not _is_given_a_mask(arguments.keras_tensors, arguments.kwargs)


def _same_positions(source, tensor):
    """Whether both are sequences of vectors, of one length as far as is known."""
    return len(source.shape) > 2 and len(tensor.shape) > 2 and source.shape[1] == tensor.shape[1]


def _lost_mask_message(receiver, culprit):
    owner, kind = type(receiver).__name__, type(culprit).__name__
    replaced = next((layer.__name__ for layer in KEPT_BY_OURS if isinstance(culprit, layer)), None)
    if replaced:
        fix = f"Use keras_attention.layers.{replaced} instead of Keras', which is the same and passes the mask on"
    elif isinstance(culprit, keras.layers.Layer):
        fix = f"Set `supports_masking = True` on {kind} if the positions of its outputs are those of its inputs"
    else:
        fix = "Compute it in a layer that passes the mask on"
    masks = [name for name in inspect.signature(receiver.call).parameters if name in ("mask", "value_mask")]
    by_hand = f", or give {owner} the mask: `{'value_mask' if 'value_mask' in masks else 'mask'}=...`"
    return (
        f"{owner} '{receiver.name}' takes padding for tokens: its input comes from {kind} '{culprit.name}', which had "
        f"a mask and does not pass it on. {fix}{by_hand if masks else ''}."
    )
