"""What every call over gRPC has: a status where it is refused, and a place in the metrics."""

import contextlib
import time

import grpc

from keras_attention.serving.errors import RequestError
from keras_attention.serving.predictor import name_of_status

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    499: grpc.StatusCode.CANCELLED,
    503: grpc.StatusCode.UNAVAILABLE,
}


def answered(answer, request, context):
    """What a function of a request and its context gives; a `RequestError` ends the call with its status."""
    try:
        return answer(request, context)
    except RequestError as error:
        context.abort(_CODES.get(error.status, grpc.StatusCode.INTERNAL), error.message)


@contextlib.contextmanager
def counted(metrics, model):
    """Counts a prediction in the metrics, with its status and time.

    Args:
        metrics: to note in.
        model: name of a model that exists.
    """
    begin, status = time.perf_counter(), "INTERNAL"
    try:
        yield
        status = "OK"
    except RequestError as error:
        status = name_of_status(error.status)
        raise
    finally:
        metrics.count_request(model, status, time.perf_counter() - begin, "GRPC")
