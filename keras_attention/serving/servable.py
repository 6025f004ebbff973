"""One version of a SavedModel, ready to answer many threads at once."""

import pathlib
import time
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that an export uses
from google.protobuf import json_format

from keras_attention.export.defaults import filled, read_defaults
from keras_attention.export.description import read_description
from keras_attention.export.saved_task import task_of
from keras_attention.export.signature import cut_back, is_text_signature
from keras_attention.export.warmup import read_warmup_requests
from keras_attention.serving.batches import Batches, array_of
from keras_attention.serving.errors import RequestError
from keras_attention.serving.logs import LOG
from keras_attention.serving.signatures import TensorSpec, required_of

# Strings of more bytes are computed apart: the others of a batch would be padded to them.
LONG = 512

BUSY = (tf.errors.ResourceExhaustedError, tf.errors.UnavailableError)


class Signature(NamedTuple):
    """A way to call a servable.

    Attributes:
        inputs: `TensorSpec` by name.
        outputs: `TensorSpec` by name.
        call: from tensors by name to a dict of tensors.
        batches: `Batches` of requests that are computed together; None where an
            answer could depend on what else is in the batch.
        is_text: whether it is that of this package's exports.
    """

    inputs: dict
    outputs: dict
    call: Any
    batches: Any
    is_text: bool


class Servable:
    """A loaded version of a model.

    Args:
        name: name of the model.
        version: number of the version.
        folder: folder of the version.
        max_batch_size: most rows that are computed together.

    Attributes:
        signatures: `Signature` by name.
        metadata: TensorFlow Serving's description of the signatures, a dict.
        task: what an export of this package says of its task, a dict; see
            `Task.identity`.

    Raises:
        Exception: whatever TensorFlow raises for a folder that it cannot load.
        ValueError: if there is no signature, or no graph to serve.
    """

    def __init__(self, name, version, folder, max_batch_size=256):
        self.name = name
        self.version = version
        self.folder = pathlib.Path(folder)
        graph = _graph_to_serve(self.folder)
        # What the signatures read lives as long as this.
        self._loaded = tf.saved_model.load(str(folder), tags=list(graph.meta_info_def.tags))
        defaults = read_defaults(folder)
        self.signatures = {
            key: _signature(function, defaults.get(key, {}), max_batch_size)
            for key, function in self._loaded.signatures.items()
        }
        if not self.signatures:
            raise ValueError(f"{folder} has no signature to serve. Export it with one.")
        self.metadata = _metadata(graph)
        self.task = task_of(self.folder) or {}

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
        model: as given.
        tensors: as given.
        is_long: as given. Run such ones one at a time: many at once would take
            the memory of the machine.
        is_joined: whether it is computed with others that wait. Start all such
            ones of a model on one thread.
        seconds: until there were outputs, waiting for a batch among them.
        batches: rows of the batches that this request was the first of.
    """

    def __init__(self, model, signature, tensors, is_long=False):
        self.model = model
        self.tensors = tensors
        self.is_long = is_long
        self.is_joined = signature.batches is not None and not is_long and _fits_in_a_batch(tensors, signature.inputs)
        self.seconds = 0.0
        self.batches = []
        self._signature = signature
        self._begin = None
        self._was_in_a_batch = False
        self._outputs = None

    @property
    def rows(self):
        """Rows of each input of one that is joined."""
        return next(iter(self.tensors.values())).shape[0]

    def start(self, threads):
        """The future of `run` on an executor."""
        self._begin = time.perf_counter()
        return self._signature.batches.start(self, threads) if self.is_joined else threads.submit(self.run)

    def run(self):
        """Computes, and blocks meanwhile.

        Raises:
            RequestError: 400 if the model refuses the inputs, 503 if it lacks
                memory or the like.
        """
        begin = time.perf_counter() if self._begin is None else self._begin
        try:
            self._compute()
        except BUSY as error:
            raise RequestError(503, f"{self.model} cannot answer now: {_without_places(error.message)}") from None
        except tf.errors.OpError as error:
            raise RequestError(400, f"{self.model} refused the inputs: {_without_places(error.message)}") from None
        self.seconds = time.perf_counter() - begin

    def take(self, outputs):
        """Gets its rows of a batch's outputs, arrays by name; None where the batch failed."""
        self._was_in_a_batch = True
        self._outputs = outputs

    def outputs(self):
        """What was computed: dict of arrays."""
        return cut_back(self._outputs) if self._signature.is_text else self._outputs

    def _compute(self):
        if self.is_joined and not self._was_in_a_batch:
            rows = self._signature.batches.compute(self)
            self.batches = [] if rows is None else [rows]
        if self._outputs is None:  # if a batch failed, perhaps for another's row: alone, only the guilty one fails
            self._outputs = self._computed_alone()

    def _computed_alone(self):
        try:
            outputs = self._signature.call(**self.tensors)
        except (TypeError, ValueError) as error:  # of a shape that the function was not made for
            raise RequestError(400, f"{self.model} refused the inputs: {error}") from None
        return {name: array_of(tensor) for name, tensor in outputs.items()}


def _fits_in_a_batch(tensors, specs):
    """Whether inputs have the shapes of the signature, and as many rows each, so that others' can be joined to them."""
    return all(spec.accepts(tensors[name].shape) for name, spec in specs.items()) and (
        len({tensor.shape[0] for tensor in tensors.values()}) == 1
    )


def _signature(function, defaults, max_batch_size):
    inputs = {
        name: _spec(spec)._replace(default=defaults.get(name))
        for name, spec in sorted(function.structured_input_signature[1].items())  # TensorFlow has no order of its own
    }
    outputs = {name: _spec(spec) for name, spec in sorted(function.structured_outputs.items())}
    is_text = is_text_signature(required_of(inputs), outputs)
    if not is_text:
        inputs = {name: spec._replace(is_firm=False) for name, spec in inputs.items()}
    apart = is_text or _keeps_rows_apart(inputs, outputs)
    batches = Batches(function, max_batch_size) if apart else None
    return Signature(inputs, outputs, function, batches, is_text)


def _keeps_rows_apart(inputs, outputs):
    """Whether rows of all inputs and outputs can be joined and divided: a free first axis, and fixed sizes else."""
    return bool(inputs) and all(
        spec.shape is not None and spec.shape[:1] == (None,) and None not in spec.shape[1:]
        for spec in [*inputs.values(), *outputs.values()]
    )


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


def _graph_to_serve(folder):
    """The graph that TensorFlow Serving takes, whose only tag is `serve`; else one that has other tags besides."""
    graphs = [graph for graph in read_description(folder).meta_graphs if "serve" in graph.meta_info_def.tags]
    if not graphs:
        raise ValueError(f"{folder} has no graph with the tag 'serve'. Save it with that tag.")
    return min(graphs, key=lambda graph: len(graph.meta_info_def.tags))


def _metadata(graph):
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
