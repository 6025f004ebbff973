"""The open inference protocol over gRPC, as Triton's and KServe's clients ask."""

import functools

import grpc
import numpy as np
from google.protobuf import json_format

from keras_attention.serving import open_inference_messages
from keras_attention.serving.errors import RequestError
from keras_attention.serving.grpc_calls import answered, counted
from keras_attention.serving.open_inference import (
    DATATYPES,
    SERVER,
    check_count,
    check_inputs,
    describe_model,
    described_array,
    from_bytes,
    shape_of,
    to_bytes,
    wanted_outputs,
)
from keras_attention.serving.signatures import DEFAULT, signature_of

SERVICE = f"{open_inference_messages.PACKAGE}.{open_inference_messages.NAME}"
_METHODS = {
    method: tuple(open_inference_messages.message(method + what) for what in ("Request", "Response"))
    for method in open_inference_messages.METHODS
}
_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


class OpenInference:
    """Answers the calls of the protocol; each method, the dict or message of an answer.

    Args:
        predictor: the application's `Predictor`.
    """

    def __init__(self, predictor):
        self._predictor = predictor
        self._store = predictor.store

    def ServerLive(self, request, context):
        """Whether the process lives."""
        return {"live": True}

    def ServerReady(self, request, context):
        """Whether a model answers."""
        return {"ready": self._store.ready}

    def ModelReady(self, request, context):
        """Whether a model, or a version of it, answers."""
        states = [status.state for status in self._store.statuses(*_model(request.name, request.version))]
        return {"ready": "AVAILABLE" in states}

    def ServerMetadata(self, request, context):
        """Name and version of the server."""
        return SERVER

    def ModelMetadata(self, request, context):
        """Inputs and outputs of the signature `serving_default`."""
        servable = self._store.get(*_model(request.name, request.version))
        return describe_model(servable, self._store.versions(servable.name))

    def ModelInfer(self, request, context):
        """The outputs, as bytes."""
        servable = self._store.get(*_model(request.model_name, request.model_version))
        with counted(self._predictor.metrics, servable.name):
            named = {parameter.key: parameter.value.string_param for parameter in request.parameters}
            name = named.get("signature_name", DEFAULT)
            signatures = {key: signature.inputs for key, signature in servable.signatures.items()}
            inputs = _inputs(request, signature_of(name, signatures))
            outputs = self._predictor.predict(servable, name, inputs, context.add_callback)
            response = {"model_name": servable.name, "model_version": str(servable.version), "id": request.id}
            return _response(response, wanted_outputs(outputs, {output.name for output in request.outputs}))


def add_open_inference(server, predictor):
    """Adds the service to a `grpc.Server`.

    Args:
        server: a `grpc.Server`.
        predictor: the application's `Predictor`.
    """
    service = OpenInference(predictor)
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            functools.partial(_answer, getattr(service, method), response),
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )
        for method, (request, response) in _METHODS.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def _answer(method, response, request, context):
    answer = answered(method, request, context)
    return json_format.ParseDict(answer, response()) if isinstance(answer, dict) else answer


def _model(name, version):
    """Name, version and label; see `ModelStore.get`."""
    if not version:
        return name, None, None
    if not (version.isascii() and version.isdecimal() and int(version[:20]) < 2**63 and len(version) < 20):
        raise RequestError(400, f"The version must be a number. Received '{version[:100]}'.")
    return name, int(version), None


def _inputs(request, specs):
    """The arrays of a request by name."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise RequestError(400, f"raw_input_contents must have {len(request.inputs)} entries. Received {len(raw)}.")
    inputs = {}
    for index, tensor in enumerate(request.inputs):
        name = tensor.name
        if name in inputs or name not in specs:
            known = ", ".join(specs)
            raise RequestError(400, f"There must be one input of each name: {known}. Received '{name[:100]}'.")
        described = {"shape": list(tensor.shape), "datatype": tensor.datatype}
        if raw:
            inputs[name] = from_bytes(name, described, specs[name], memoryview(raw[index]))
        else:
            inputs[name] = _from_contents(name, described, specs[name], tensor.contents)
    check_inputs(inputs, specs)
    return inputs


def _from_contents(name, described, spec, contents):
    """The array of an input whose numbers or strings are fields of the message."""
    shape = shape_of(name, described, spec)
    datatype = DATATYPES[spec.dtype]
    if datatype not in _CONTENTS:
        raise RequestError(400, f"input '{name}' is {datatype}, which must come in raw_input_contents.")
    values = getattr(contents, _CONTENTS[datatype])
    check_count(name, shape, len(values))
    try:
        return np.array(list(values), object if spec.dtype == "string" else spec.dtype).reshape(shape)
    except OverflowError as error:
        raise RequestError(400, f"input '{name}' has a value that is no {datatype}: {error}") from None


def _response(content, outputs):
    described = [described_array(name, array) for name, array in outputs.items()]
    message = json_format.ParseDict(content | {"outputs": described}, _METHODS["ModelInfer"][1]())
    message.raw_output_contents.extend(to_bytes(array) for array in outputs.values())
    return message
