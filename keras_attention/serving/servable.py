"""One version of a SavedModel, ready to answer many threads at once.

Requests that come together are computed together, by TensorFlow's own batching,
the op of `tf.nondifferentiable_batch_function`.
"""

import itertools
import pathlib
import time
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that an export uses
from google.protobuf import json_format

from keras_attention.export.defaults import filled, read_defaults
from keras_attention.export.description import read_description
from keras_attention.export.signature import cut_back, is_text_signature
from keras_attention.export.warmup import read_warmup_requests
from keras_attention.serving.errors import RequestError
from keras_attention.serving.logs import LOG
from keras_attention.serving.signatures import TensorSpec, required_of

# Strings of more bytes are computed apart: the others of a batch would be padded to them.
LONG = 512

BATCH_ROWS = "batch_rows"  # of a batch, in its first row; 0 in the others

_QUEUES = itertools.count()  # TensorFlow joins what goes into one queue

BUSY = (tf.errors.ResourceExhaustedError, tf.errors.UnavailableError)


class Signature(NamedTuple):
    """A way to call a servable.

    Attributes:
        inputs: `TensorSpec` by name.
        outputs: `TensorSpec` by name.
        call: from tensors by name to a dict of tensors.
        batched: the same for many threads at once, with one more output,
            `BATCH_ROWS`; None where an answer could depend on what else is in
            the batch.
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
        name: name of the model.
        version: number of the version.
        folder: folder of the version.
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
        defaults = read_defaults(folder)
        self.signatures = {
            key: _signature(name, function, defaults.get(key, {}), max_batch_size, max_queue)
            for key, function in self._loaded.signatures.items()
        }
        if not self.signatures:
            raise ValueError(f"{folder} has no signature to serve. Export it with one.")
        self.metadata = _metadata(self.folder)

    def warm_up(self):
        """Answers the requests that the export carries, so that the first client does not wait for the tracing."""
        for request in read_warmup_requests(self.folder):
            if request.signature_name in self.signatures:
                self.prepare(request.signature_name, request.inputs).run()
            else:
                LOG.warning("warm-up request of an unknown signature", extra={"fields": {
                    "model": self.name, "version": self.version, "signature": request.signature_name
                }})  # fmt: skip

    def prepare(self, signature_name, inputs):
        """The `Prediction` of a request.

        Args:
            signature_name: one of `signatures`.
            inputs: arrays by name.
        """
        signature = self.signatures[signature_name]
        defaults = {name: spec.default for name, spec in signature.inputs.items() if spec.default is not None}
        inputs = filled(inputs, defaults)
        tensors = {name: tf.constant(inputs[name], spec.dtype) for name, spec in signature.inputs.items()}
        return Prediction(self.name, signature, tensors, _is_long(inputs))


class Prediction:
    """A request on its way through TensorFlow.

    Only `run` waits, and it hardly needs Python: many threads that all want the
    interpreter hinder each other more than the rest of a request takes.

    Args:
        model: name of the model.
        signature: the `Signature`.
        tensors: by name.
        is_long: whether there are strings so long that it is computed apart.

    Attributes:
        is_long: as given. Run such ones one at a time: many at once would take
            the memory of the machine.
        seconds: that `run` took, waiting for a batch among them.
        batches: rows of the batches that this request was the first of.
    """

    def __init__(self, model, signature, tensors, is_long=False):
        self.model = model
        self.is_long = is_long
        self.seconds = 0.0
        self.batches = []
        self._signature = signature
        self._tensors = tensors
        self._outputs = None

    def run(self):
        """Computes, and blocks meanwhile.

        Raises:
            RequestError: 400 if the model refuses the inputs, 503 if too many
                wait.
        """
        begin = time.perf_counter()
        try:
            self._outputs = self._compute()
        except BUSY as error:
            raise RequestError(503, f"Too many requests are waiting: {error.message}") from None
        except tf.errors.OpError as error:
            raise RequestError(400, f"{self.model} refused the inputs: {_without_places(error.message)}") from None
        self.seconds = time.perf_counter() - begin

    def outputs(self):
        """What was computed: dict of arrays."""
        outputs = {name: _array(tensor) for name, tensor in self._outputs.items()}
        if BATCH_ROWS in outputs:
            rows = outputs.pop(BATCH_ROWS)
            self.batches = rows[rows > 0].tolist()
        return cut_back(outputs) if self._signature.is_text else outputs

    def _compute(self):
        if self._signature.batched is not None and not self.is_long and self._is_regular():
            try:
                return self._signature.batched(**self._tensors)
            except BUSY:
                raise
            except tf.errors.OpError:
                pass  # perhaps another's row: alone, only the guilty one fails
        try:
            return self._signature.call(**self._tensors)
        except (TypeError, ValueError) as error:  # of a shape that the function was not made for
            raise RequestError(400, f"{self.model} refused the inputs: {error}") from None

    def _is_regular(self):
        """Whether the inputs have the shapes of the signature, so that their rows can be joined with others'."""
        return all(spec.accepts(self._tensors[name].shape) for name, spec in self._signature.inputs.items())


def _signature(model, function, defaults, *batching):
    inputs = {
        name: _spec(spec)._replace(default=defaults.get(name))
        for name, spec in sorted(function.structured_input_signature[1].items())  # TensorFlow has no order of its own
    }
    outputs = {name: _spec(spec) for name, spec in sorted(function.structured_outputs.items())}
    is_text = is_text_signature(required_of(inputs), outputs)
    if not is_text:
        inputs = {name: spec._replace(is_firm=False) for name, spec in inputs.items()}
    apart = is_text or _keeps_rows_apart(inputs, outputs)
    batched = _batched(model, function, *batching) if apart else None
    return Signature(inputs, outputs, function, batched, is_text)


def _keeps_rows_apart(inputs, outputs):
    """Whether rows of all inputs and outputs can be joined and divided: a free first axis, and fixed sizes else."""
    return bool(inputs) and all(
        spec.shape is not None and spec.shape[:1] == (None,) and None not in spec.shape[1:]
        for spec in [*inputs.values(), *outputs.values()]
    )


def _batched(model, function, max_batch_size, max_queue):
    specs = function.structured_input_signature[1]
    names, output_names = list(specs), [*function.structured_outputs, BATCH_ROWS]

    @tf.function(autograph=False)
    def together(*tensors):
        outputs = function(**dict(zip(names, tensors, strict=True)))
        rows = tf.shape(tensors[0])[0]
        return [*(outputs[name] for name in function.structured_outputs), tf.one_hot(0, rows, rows, 0)]

    computation = together.get_concrete_function(*specs.values())
    # What `tf.nondifferentiable_batch_function` does in a graph, without a graph for each request.
    options = {
        "f": computation,
        "captured_tensors": computation.captured_inputs,
        "Tout": [tensor.dtype for tensor in computation.outputs],
        "num_batch_threads": 1,  # while one batch is computed the next one gathers; two at once are smaller, and dearer
        "max_batch_size": max_batch_size,
        "batch_timeout_micros": 0,
        "max_enqueued_batches": max_queue,
        "enable_large_batch_splitting": True,
        # TensorFlow keeps what goes by a name, with its threads, for ever: so that is one for all versions of a model.
        "shared_name": f"keras_attention_{model}_{max_batch_size}_{max_queue}",
        "batching_queue": f"{next(_QUEUES)}",
    }

    def call(**tensors):
        outputs = tf.raw_ops.BatchFunction(in_tensors=[tensors[name] for name in names], **options)
        return dict(zip(output_names, outputs, strict=True))

    return call


def _array(tensor):
    """A tensor as an array; a single string of one as well."""
    value = tensor.numpy()
    return np.array(value, object) if isinstance(value, bytes) else value


def _without_places(message):
    """TensorFlow's message without the files and lines of this machine that it begins with."""
    lines = message.splitlines()
    frames = [index for index, line in enumerate(lines) if line.lstrip().startswith('File "')]
    return "\n".join(lines[frames[-1] + 1 :] if frames else lines).strip()


def _is_long(inputs):
    """Whether there is a long string among arrays."""
    arrays = [np.asarray(array) for array in inputs.values()]
    return any(len(text) > LONG for array in arrays if array.dtype == object for text in array.reshape(-1))


def _spec(spec):
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorSpec(spec.dtype.name, shape)


def _metadata(folder):
    (graph,) = [graph for graph in read_description(folder).meta_graphs if "serve" in graph.meta_info_def.tags]
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
