"""TensorFlow Serving's gRPC `PredictionService` over the same servables as the REST routes."""

import hmac
from concurrent.futures import ThreadPoolExecutor

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from keras_attention.export.signature import SIGNATURE
from keras_attention.serving.protocol import RequestError, are_inputs

_CODES = {400: grpc.StatusCode.INVALID_ARGUMENT, 404: grpc.StatusCode.NOT_FOUND, 503: grpc.StatusCode.UNAVAILABLE}


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers `Predict`.

    Args:
        predictor: the application's `Predictor`, of which it takes models,
            limits and metrics.
        token: what clients must send, or None.
    """

    def __init__(self, predictor, token=None):
        self.predictor = predictor
        self.token = token

    def Predict(self, request, context):
        """Answers a `PredictRequest`, or ends the call with a status."""
        self._check_token(context)
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        try:
            servable = self.predictor.store.get(spec.name, version)
            name = spec.signature_name or SIGNATURE
            outputs = self.predictor.predict(servable, name, _inputs(servable, name, request))
        except RequestError as error:
            context.abort(_CODES.get(error.status, grpc.StatusCode.INTERNAL), error.message)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = servable.name
        response.model_spec.signature_name = name
        response.model_spec.version.value = servable.version
        for key, array in outputs.items():
            if not request.output_filter or key in request.output_filter:
                response.outputs[key].CopyFrom(tf.make_tensor_proto(array))
        return response

    def _check_token(self, context):
        if self.token is None:
            return
        given = dict(context.invocation_metadata()).get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "A token is needed: authorization: Bearer TOKEN")


def _inputs(servable, name, request):
    """The arrays of a request, of the types and shapes that the signature wants."""
    if name not in servable.signatures:
        raise RequestError(400, f'Serving signature name: "{name}" not found in signature def')
    specs = servable.signatures[name].inputs
    if not are_inputs(request.inputs, specs):
        raise RequestError(400, f"inputs must be {', '.join(specs)}. Received {', '.join(request.inputs)}.")
    inputs = {key: tf.make_ndarray(request.inputs[key]) for key in request.inputs}
    for key in inputs:
        spec = specs[key]
        dtype, shape = tf.dtypes.as_dtype(request.inputs[key].dtype).name, inputs[key].shape
        if dtype != spec.dtype or not spec.accepts(shape):
            raise RequestError(
                400, f"input '{key}' must be {spec.dtype} of shape {spec.shape}. Received {dtype} of shape {shape}."
            )
    return inputs


def start_grpc(predictor, host, port, token=None):
    """Starts to listen; stop what it returns with `stop(grace)`.

    Raises:
        OSError: if the port cannot be had.
    """
    limits = predictor.limits
    server = grpc.server(
        ThreadPoolExecutor(32, thread_name_prefix="grpc"),
        options=[("grpc.max_receive_message_length", limits.body)],
        maximum_concurrent_rpcs=limits.queue,
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(predictor, token), server)
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(f"gRPC cannot listen at {host}:{port}: {error}") from error
    if bound != port:
        raise OSError(f"gRPC cannot listen at {host}:{port}.")
    server.start()
    return server
