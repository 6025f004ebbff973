"""The gRPC server, and TensorFlow Serving's services in it, to predict and to ask about models."""

import math
from concurrent.futures import ThreadPoolExecutor

import grpc
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from keras_attention.export.signature import SIGNATURE
from keras_attention.serving.errors import RequestError
from keras_attention.serving.grpc_calls import answered, counted
from keras_attention.serving.grpc_open_inference import SERVICE as OPEN_INFERENCE
from keras_attention.serving.grpc_open_inference import add_open_inference
from keras_attention.serving.grpc_services import STREAMS, TokenInterceptor, add_services
from keras_attention.serving.signatures import are_inputs

SERVICES = tuple(  # of files that reflection finds because they were imported
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in ((prediction_service_pb2, "PredictionService"), (model_service_pb2, "ModelService"))
)
THREADS = 32  # that answer calls


class Services(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """Answers `Predict`, `GetModelMetadata` and `GetModelStatus`.

    Args:
        predictor: the application's `Predictor`, of which it takes models,
            limits and metrics.
    """

    def __init__(self, predictor):
        self.predictor = predictor

    def Predict(self, request, context):
        """Answers a `PredictRequest`, or ends the call with a status."""
        return answered(self._predict, request, context)

    def GetModelMetadata(self, request, context):
        """Answers with the signatures of a model."""
        return answered(self._metadata, request, context)

    def GetModelStatus(self, request, context):
        """Answers with the states of a model's versions."""
        return answered(self._status, request, context)

    def _predict(self, request, context):
        servable = self.predictor.store.get(*_model(request.model_spec))
        with counted(self.predictor.metrics, servable.name):
            name = request.model_spec.signature_name or SIGNATURE
            inputs = _inputs(servable, name, request, self.predictor.limits)
            outputs = self.predictor.predict(servable, name, inputs, context.add_callback)
        unknown = set(request.output_filter) - set(outputs)
        if unknown:
            raise RequestError(400, f"output tensor alias not found in signature: {', '.join(sorted(unknown))}")
        response = predict_pb2.PredictResponse()
        response.model_spec.name = servable.name
        response.model_spec.signature_name = name
        response.model_spec.version.value = servable.version
        for key, array in outputs.items():
            if not request.output_filter or key in request.output_filter:
                response.outputs[key].CopyFrom(tf.make_tensor_proto(array))
        return response

    def _metadata(self, request, context):
        if list(request.metadata_field) != ["signature_def"]:
            raise RequestError(400, f"Metadata field must be signature_def. Received {list(request.metadata_field)}.")
        servable = self.predictor.store.get(*_model(request.model_spec))
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        signatures = get_model_metadata_pb2.SignatureDefMap()
        json_format.ParseDict(servable.metadata["signature_def"], signatures)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def _status(self, request, context):
        response = get_model_status_pb2.GetModelStatusResponse()
        states = get_model_status_pb2.ModelVersionStatus.State
        for found in self.predictor.store.statuses(*_model(request.model_spec)):
            status = response.model_version_status.add(version=found.version, state=states.Value(found.state))
            if found.error:
                status.status.error_code, status.status.error_message = 2, found.error  # UNKNOWN
        return response


def _model(spec):
    """Name, version and label of what is asked for; see `ModelStore.get`."""
    version = spec.version.value if spec.HasField("version") else None
    return spec.name, version, spec.version_label if spec.HasField("version_label") else None


def _inputs(servable, name, request, limits):
    """The arrays of a request, of the types and shapes that the signature wants."""
    if name not in servable.signatures:
        raise RequestError(400, f'Serving signature name: "{name}" not found in signature def')
    specs = servable.signatures[name].inputs
    if not are_inputs(request.inputs, specs):
        raise RequestError(400, f"inputs must be {', '.join(specs)}. Received {', '.join(request.inputs)}.")
    return {key: _array(key, request.inputs[key], specs[key], limits) for key in request.inputs}


def _array(key, tensor, spec, limits):
    """The array of a message, which is looked at first: its shape may promise more than there is memory."""
    shape = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
    try:
        dtype = tf.dtypes.as_dtype(tensor.dtype)
    except TypeError:
        raise RequestError(400, f"input '{key}' has no type that TensorFlow knows: {tensor.dtype}.") from None
    if dtype.name != spec.dtype or spec.refuses(shape) or tensor.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise RequestError(
            400, f"input '{key}' must be {spec.dtype} of shape {spec.shape}. Received {dtype.name} of shape {shape}."
        )
    size, most = math.prod(shape), limits.positions if dtype == tf.string else limits.body // max(1, dtype.size)
    if size > most:
        raise RequestError(400, f"input '{key}' has {size:,} elements; this server takes {most:,} at once.")
    try:
        return tf.make_ndarray(tensor)
    except (IndexError, TypeError, ValueError) as error:
        raise RequestError(400, f"input '{key}' is no tensor of shape {shape}: {error}") from None


class GrpcServer:
    """A server that listens.

    Args:
        server: a `grpc.Server`.
        closing: objects whose `close()` ends what would keep it from its end.
    """

    def __init__(self, server, closing):
        self._server = server
        self._closing = closing

    def stop(self, grace):
        """Takes no more calls, and gives those under way `grace` seconds; returns an event of the end."""
        for part in self._closing:
            part.close()
        return self._server.stop(grace)


def start_grpc(predictor, host, port, token=None, tls=None):
    """Starts to listen; stop what it returns with `stop(grace)`.

    Args:
        predictor: the application's `Predictor`.
        host: address to listen at.
        port: where to listen.
        token: what clients must send, or None.
        tls: see `Tls`; None for connections that are not encrypted.

    Returns:
        A `GrpcServer`.

    Raises:
        OSError: if the port cannot be had.
    """
    limits = predictor.limits
    server = grpc.server(
        ThreadPoolExecutor(THREADS + 2 * STREAMS, thread_name_prefix="grpc"),
        options=[("grpc.max_receive_message_length", limits.body), ("grpc.so_reuseport", 0)],
        maximum_concurrent_rpcs=limits.queue + 2 * STREAMS,
        interceptors=[TokenInterceptor(token)] if token else [],
    )
    services = Services(predictor)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(services, server)
    add_open_inference(server, predictor)
    closing = add_services(server, predictor.store, [*SERVICES, OPEN_INFERENCE])
    _bind(server, f"{host}:{port}", port, tls)
    server.start()
    return GrpcServer(server, closing)


def _bind(server, address, port, tls):
    try:
        if tls is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, grpc.ssl_server_credentials([tls.read()]))
    except RuntimeError as error:
        raise OSError(f"gRPC cannot listen at {address}: {error}") from error
    if bound != port:
        raise OSError(f"gRPC cannot listen at {address}.")
