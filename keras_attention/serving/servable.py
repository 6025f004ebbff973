"""One version of a SavedModel, ready to answer many threads at once.

Requests that come together are computed together, by TensorFlow's own batching
(`tf.nondifferentiable_batch_function`).
"""

import pathlib
import threading
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that an export uses
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2

from keras_attention.export.signature import cut_back, is_text_signature
from keras_attention.export.warmup import read_warmup_requests
from keras_attention.serving.protocol import RequestError, TensorSpec

# Strings of more bytes are computed apart, one request at a time: the others of a batch would be padded to them.
LONG = 512

BUSY = (tf.errors.ResourceExhaustedError, tf.errors.UnavailableError)


class Signature(NamedTuple):
    """A way to call a servable.

    Attributes:
        inputs: `TensorSpec` by name.
        outputs: `TensorSpec` by name.
        call: from a dict of tensors to a dict of tensors.
        batched: the same for many threads at once, with two more outputs,
            `batch_size` and `batch_first`; None where an answer could depend on
            what else is in the batch.
        is_text: whether it is that of this package's exports.
    """

    inputs: dict
    outputs: dict
    call: Any
    batched: Any
    is_text: bool


class Servable:
    """A loaded version of a model.

    Args:
        name: of the model.
        version: its number.
        folder: of the version.
        max_batch_size: most rows that are computed together.
        max_queue: most batches that wait.

    Attributes:
        signatures: `Signature` by name.
        metadata: TensorFlow Serving's description of the signatures, a dict.

    Raises:
        Exception: whatever TensorFlow raises for a folder that it cannot load.
        ValueError: if there is no signature.
    """

    def __init__(self, name, version, folder, max_batch_size=256, max_queue=64):
        self.name = name
        self.version = version
        self.folder = pathlib.Path(folder)
        self._loaded = tf.saved_model.load(str(folder))  # what the signatures read lives as long as this
        self.signatures = {
            key: _signature(function, max_batch_size, max_queue) for key, function in self._loaded.signatures.items()
        }
        if not self.signatures:
            raise ValueError(f"{folder} has no signature to serve. Export it with one.")
        self.metadata = _metadata(self.folder)
        self._one_at_a_time = threading.Lock()

    def warm_up(self):
        """Answers the requests that the export carries, so that the first client does not wait for the tracing."""
        for request in read_warmup_requests(self.folder):
            self.predict(request.signature_name, request.inputs)

    def predict(self, signature_name, inputs, observe=None):
        """Answers a request.

        Args:
            signature_name: of `signatures`.
            inputs: arrays by name.
            observe: called with the rows of each batch that this request is
                the first of.

        Returns:
            Dict of arrays.

        Raises:
            RequestError: 400 if the model refuses the inputs, 503 if too many
                wait.
        """
        signature = self.signatures[signature_name]
        tensors = {
            name: tf.constant(inputs[name], _dtype(spec), shape=np.shape(inputs[name]))
            for name, spec in signature.inputs.items()
        }
        try:
            if _is_long(inputs):
                with self._one_at_a_time:  # many at once would take the memory of the machine
                    outputs = _arrays(signature.call(**tensors))
            else:
                outputs = self._outputs(signature, tensors, observe)
        except BUSY as error:
            raise RequestError(503, f"Too many requests are waiting: {error.message}") from None
        except tf.errors.OpError as error:
            raise RequestError(400, f"{self.name} refused the inputs: {error.message}") from None
        return cut_back(outputs) if signature.is_text else outputs

    def _outputs(self, signature, tensors, observe):
        if signature.batched is None:
            return _arrays(signature.call(**tensors))
        try:
            outputs = _arrays(signature.batched(**tensors))
        except BUSY:
            raise
        except tf.errors.OpError:  # perhaps another's row: alone, only the guilty one fails
            return _arrays(signature.call(**tensors))
        sizes, first = outputs.pop("batch_size"), outputs.pop("batch_first")
        if observe is not None:
            for size in sizes[first]:
                observe(int(size))
        return outputs


def _signature(function, *batching):
    inputs = {name: _spec(spec) for name, spec in function.structured_input_signature[1].items()}
    outputs = {name: _spec(spec) for name, spec in function.structured_outputs.items()}
    is_text = is_text_signature(inputs, outputs)
    apart = is_text or _keeps_rows_apart(inputs, outputs)
    batched = _batched(function, *batching) if apart else None
    return Signature(inputs, outputs, function, batched, is_text)


def _keeps_rows_apart(inputs, outputs):
    """Whether rows of all inputs and outputs can be joined and divided: a free first axis, and fixed sizes else."""
    return bool(inputs) and all(
        spec.shape is not None and spec.shape[:1] == (None,) and None not in spec.shape[1:]
        for spec in [*inputs.values(), *outputs.values()]
    )


def _batched(function, max_batch_size, max_queue):
    specs = function.structured_input_signature[1]
    names, output_names = list(specs), list(function.structured_outputs)

    @tf.nondifferentiable_batch_function(
        num_batch_threads=1,  # while one batch is computed the next one gathers; two at once are smaller, and dearer
        max_batch_size=max_batch_size,
        batch_timeout_micros=0,
        max_enqueued_batches=max_queue,
        autograph=False,
    )
    def together(*tensors):
        outputs = function(**dict(zip(names, tensors, strict=True)))
        rows = tf.shape(tensors[0])[:1]
        return [*(outputs[name] for name in output_names), tf.fill(rows, rows[0]), tf.range(rows[0]) == 0]

    def call(**tensors):
        return dict(
            zip([*output_names, "batch_size", "batch_first"], together(*(tensors[name] for name in names)), strict=True)
        )

    return tf.function(call, autograph=False).get_concrete_function(**specs)


def _is_long(inputs):
    """Whether there is a long string among arrays."""
    arrays = [np.asarray(array) for array in inputs.values()]
    return any(len(text) > LONG for array in arrays if array.dtype == object for text in array.reshape(-1))


def _arrays(outputs):
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def _spec(spec):
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorSpec(spec.dtype.name, shape)


def _dtype(spec):
    return tf.dtypes.as_dtype(spec.dtype)


def _metadata(folder):
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((folder / "saved_model.pb").read_bytes())
    (graph,) = [graph for graph in saved_model.meta_graphs if "serve" in graph.meta_info_def.tags]
    return {
        "signature_def": {
            "signature_def": {
                name: json_format.MessageToDict(
                    definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
                )
                for name, definition in graph.signature_def.items()
                if not name.startswith("__")
            }
        }
    }
