"""What every gRPC server has beside its own services: health checking, reflection, and the token.

`Check` of the health service needs no token, as `/healthz` needs none; a probe
of Kubernetes can send none.

References: https://github.com/grpc/grpc/blob/master/doc/health-checking.md,
https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

import contextlib
import hmac
import threading

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from keras_attention.serving import open_inference_messages

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
STREAMS = 16  # of each kind that may be open; each holds a thread
_POLL_SECONDS = 0.2
_Status = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):
    """Says whether the server, one of its services, or a model answers.

    Args:
        store: the `ModelStore`.
        services: names of the services that answer when the server does.
    """

    def __init__(self, store, services):
        self._store = store
        self._services = ("", HEALTH, *services)
        self._streams = Streams()

    def Check(self, request, context):
        """Answers once."""
        status = self._status_of(request.service)
        if status == _Status.SERVICE_UNKNOWN:
            context.abort(grpc.StatusCode.NOT_FOUND, "Neither a service nor a model has this name.")
        return _Status(status=status)

    def Watch(self, request, context):
        """Answers now and whenever the status has changed."""
        with self._streams.entered(context) as ended:
            told = None
            while not ended.is_set():
                status = self._status_of(request.service)
                if status != told:
                    yield _Status(status=status)
                told = status
                ended.wait(_POLL_SECONDS)

    def close(self):
        """Says from now on that nothing answers, and ends what is watched."""
        self._streams.close()

    def _status_of(self, name):
        if name in self._services:
            answers = self._store.ready
        elif name in self._store.known:
            answers = name in self._store.names
        else:
            return _Status.SERVICE_UNKNOWN
        return _Status.SERVING if answers and not self._streams.closed else _Status.NOT_SERVING


class Reflection(reflection.ReflectionServicer):
    """Tells which services and messages there are, to no more than `STREAMS` clients at once."""

    def __init__(self, services):
        super().__init__(services, _Pools())
        self._streams = Streams()

    def ServerReflectionInfo(self, request_iterator, context):
        """Answers each question of a stream."""
        with self._streams.entered(context):
            yield from super().ServerReflectionInfo(request_iterator, context)

    def close(self):
        """Ends the streams that are open."""
        self._streams.close()


class _Pools:
    """The pool of the open inference protocol, and the default pool of messages, as one."""

    def __getattr__(self, find):
        def found(*arguments):
            try:
                return getattr(open_inference_messages.POOL, find)(*arguments)
            except KeyError:
                return getattr(descriptor_pool.Default(), find)(*arguments)

        return found


class Streams:
    """Streams of one kind that are open, which are few, and end with the server.

    Attributes:
        closed: whether they were ended.
    """

    def __init__(self):
        self.closed = False
        self._contexts = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def entered(self, context):
        """Counts a stream within a `with` block, which gets an event that is set when the stream ends."""
        with self._lock:
            full = self.closed or len(self._contexts) >= STREAMS
            if not full:
                self._contexts.add(context)
        if full:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{STREAMS} streams of this kind are open already.")
        ended = threading.Event()
        if not context.add_callback(ended.set):
            ended.set()
        try:
            yield ended
        finally:
            with self._lock:
                self._contexts.discard(context)

    def close(self):
        """Ends them."""
        with self._lock:
            self.closed = True
            contexts = list(self._contexts)
        for context in contexts:
            context.cancel()


class TokenInterceptor(grpc.ServerInterceptor):
    """Lets those calls pass that bring the token, and `Check` of the health service.

    Args:
        token: compared in constant time.
    """

    def __init__(self, token):
        self._expected = f"Bearer {token}".encode()

    def intercept_service(self, continuation, handler_call_details):
        given = dict(handler_call_details.invocation_metadata).get("authorization", "")
        if handler_call_details.method == f"/{HEALTH}/Check" or hmac.compare_digest(given.encode(), self._expected):
            return continuation(handler_call_details)
        return grpc.stream_stream_rpc_method_handler(_refuse)  # which waits for no message


def _refuse(requests, context):
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "A token is needed: authorization: Bearer TOKEN")


def add_services(server, store, services):
    """Adds health checking and reflection to a server.

    Args:
        server: a `grpc.Server`.
        store: the `ModelStore`.
        services: full names of the services that the server has besides.

    Returns:
        Two objects with a method `close()`, to be called when the server ends.
    """
    health = Health(store, services)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    described = Reflection([*services, HEALTH, reflection.SERVICE_NAME])
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(described, server)
    return health, described
