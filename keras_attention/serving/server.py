"""`keras-attention serve`: the application under uvicorn, on one machine."""

import contextlib
import gc

from keras_attention.serving.app import make_app
from keras_attention.serving.connection import make_server
from keras_attention.serving.logs import set_up_logs, warn_if_open
from keras_attention.serving.page import mount_page
from keras_attention.serving.predictor import Limits
from keras_attention.serving.store import ModelStore


def serve(
    source,
    host="127.0.0.1",
    port=8501,
    limits=Limits(),
    token=None,
    page=True,
    poll_seconds=1.0,
    grpc_port=None,
    intra_op_threads=1,
    origins=(),
    allowed_hosts=(),
    tls=None,
):
    """Serves the models of a folder until it is told to stop; requests that are under way then are finished.

    Args:
        source: says which models there are; see `ModelStore`.
        host: address to bind to; the default is this machine alone.
        port: HTTP port.
        limits: see `Limits`.
        token: what clients must know; see `make_app`.
        page: whether to show a page at `/`.
        poll_seconds: how often to look for new versions.
        grpc_port: where to listen for TensorFlow Serving's gRPC, if at all.
        intra_op_threads: see `set_threads`.
        origins: see `make_app`.
        allowed_hosts: see `make_app`.
        tls: see `Tls`; None for connections that are not encrypted.

    Raises:
        OSError: if a port cannot be had.
    """
    set_up_logs()
    warn_if_open(host, token)
    set_threads(intra_op_threads)
    store = make_store(source, poll_seconds)
    app = make_app(store, limits, token, origins, host, allowed_hosts)
    if page:
        mount_page(app, store)
    with contextlib.ExitStack() as ending:
        ending.callback(store.stop)
        ending.callback(app.state.predictor.close)
        if grpc_port is not None:  # before anything is loaded, since the port may be taken
            from keras_attention.serving.grpc_server import start_grpc

            grpc_server = start_grpc(app.state.predictor, host, grpc_port, token, tls)
            ending.callback(lambda: grpc_server.stop(grace=30).wait())
        store.start()
        make_server(app, host, port, limits, tls).run()


def set_threads(intra_op):
    """How TensorFlow shares the processor; call it before TensorFlow has computed anything.

    Models of this size gain nothing from several threads in an operation, which
    then wait for each other and take twice the processor's time.

    Args:
        intra_op: threads in one operation.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(intra_op)


def make_store(source, poll_seconds=1.0):
    """A `ModelStore` of `Servable`s, which are warm when they come."""

    def load(name, version, place):
        from keras_attention.serving.servable import Servable

        servable = Servable(name, version, place)
        servable.warm_up()
        return servable

    return ModelStore(source, load, poll_seconds, tidy)


def tidy():
    """Frees what replaced models left, and lets the garbage collector pass over those that stay.

    To look through them for garbage halts all clients, for up to a fifth of a
    second; so it is done once for each version that comes or goes, not whenever
    Python sees fit.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
