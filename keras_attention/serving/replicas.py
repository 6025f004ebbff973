"""The server several times over: `keras-attention serve --replicas N`, on Ray Serve.

    client -> front -> one of the replicas

A replica is a process with a `ModelStore` and the application of
`keras_attention.serving.app`, the front the application of
`keras_attention.serving.front`. `serve_replicas` is the front itself. On a
cluster that is described by a file, `build` makes the front a deployment,
behind Ray's proxies.
"""

import contextlib
import logging
import os
import pathlib
import secrets
import sys

from keras_attention.serving.app import make_app
from keras_attention.serving.connection import make_server
from keras_attention.serving.front import Answer, make_front
from keras_attention.serving.logs import ACCESS, set_up_logs, warn_if_open
from keras_attention.serving.middleware import read_token
from keras_attention.serving.predictor import Limits

NAME = "keras-attention"  # of Ray Serve's application
ONGOING = 64  # requests in a replica: as many as its application has threads, so TensorFlow can join them
_HEALTH_SECONDS = 2.0  # between checks: how soon one that died is replaced
_LOGGING = {"enable_access_log": False}  # the front writes one


def serve_replicas(
    folder,
    replicas=2,
    host="127.0.0.1",
    port=8501,
    limits=Limits(),
    token=None,
    poll_seconds=1.0,
    max_replicas=None,
    target_ongoing_requests=ONGOING // 2,
    gpus=0.0,
    address="local",
    intra_op_threads=1,
):
    """Serves the models of a folder from several processes until it is told to stop; requests that are under way then
    are finished.

    Each replica finds new versions of a model by itself, so two versions answer
    for a moment.

    Args:
        folder: see `ModelStore`; all machines must see it under this path.
        replicas: processes; the fewest if there is a `max_replicas`.
        host: address to listen at; the default hears this machine only.
        port: HTTP port.
        limits: see `Limits`; `queue` counts what no replica has room for.
        token: what clients must know; see `make_app`.
        poll_seconds: how often a replica looks for new versions.
        max_replicas: most processes; None for always `replicas`.
        target_ongoing_requests: requests in a replica above which Ray starts
            another, up to `max_replicas`.
        gpus: GPUs of each replica, a fraction if several share one.
        address: address of a Ray cluster; `"local"` starts one on this machine, for
            this process.
        intra_op_threads: threads of each replica; see `set_threads`.

    Raises:
        FileNotFoundError: if the folder is not there.
        RuntimeError: if Ray is not installed, or the replicas do not start.
        ValueError: if `max_replicas` is below `replicas`.
    """
    set_up_logs()
    warn_if_open(host, token)
    options = {
        "max_replicas": max_replicas,
        "target_ongoing_requests": target_ongoing_requests,
        "gpus": gpus,
        "intra_op_threads": intra_op_threads,
    }
    with running_replicas(folder, replicas, limits, poll_seconds, address=address, **options) as handle:
        app = make_front(handle, limits, token)
        make_server(app, host, port, limits).run()


@contextlib.contextmanager
def running_replicas(folder, replicas=2, limits=Limits(), poll_seconds=1.0, address="local", **options):
    """Replicas that answer within a `with` block, which gets Ray Serve's handle of them.

    Args:
        folder: see `serve_replicas`, as are the others.
        replicas: processes.
        limits: see `Limits`.
        poll_seconds: how often a replica looks for new versions.
        address: address of a Ray cluster, or `"local"`.
        options: `max_replicas`, `target_ongoing_requests`, `gpus`,
            `intra_op_threads`.

    Raises:
        FileNotFoundError: if the folder is not there.
        RuntimeError: if Ray is not installed, or the replicas do not start.
        ValueError: if `max_replicas` is below `replicas`.
    """
    alone = address == "local"
    ray, serve = import_ray(alone)
    bound = _replica(folder, replicas, limits, poll_seconds, **options)
    if alone:
        # A replica asks for one CPU, by which Ray spreads replicas over machines; on one machine all shall find room.
        processors = max(os.cpu_count() or 1, replicas, options.get("max_replicas") or 0)
        ray.init(address, num_cpus=processors, include_dashboard=False)
    else:
        ray.init(address)
    try:
        serve.start("Disabled")
        yield serve.run(bound, name=NAME, route_prefix=None, logging_config=_LOGGING)
    finally:
        serve.shutdown()
        ray.shutdown()


def build(arguments):
    """Ray Serve's application, for a configuration file whose `import_path` names this function.

    Args:
        arguments: the file's `args`, a dict: `folder`; `replicas`,
            `max_replicas`, `target_ongoing_requests`, `gpus`,
            `intra_op_threads` and `poll_seconds` as for `serve_replicas`; `limits`, a dict;
            `token_file`, which holds the token; `fronts`, the processes that
            hold requests, each of which counts its own metrics.

    Returns:
        A `ray.serve.Application`.

    Raises:
        FileNotFoundError: if the folder is not there.
        RuntimeError: if Ray is not installed.
        ValueError: if `max_replicas` is below `replicas`.
    """
    _, serve = import_ray()
    arguments = dict(arguments)
    token = read_token(arguments.pop("token_file", None))
    fronts = arguments.pop("fronts", 1)
    limits = Limits(**arguments.pop("limits", {}))
    replica = _replica(limits=limits, **arguments)

    def build_front():
        set_up_logs()
        return make_front(serve.get_deployment_handle("replica"), limits, token)

    front = serve.deployment(
        serve.ingress(build_front)(),
        name="front",
        num_replicas=fronts,
        max_ongoing_requests=10_000,  # the replicas' queue refuses what is too much
        health_check_period_s=_HEALTH_SECONDS,
        graceful_shutdown_timeout_s=30,
        logging_config=_LOGGING,
        ray_actor_options={"num_cpus": 0},
    )
    return front.bind(replica)


class Replica:
    """One process with models. It takes requests once it has looked at the folder and a model answers.

    Args:
        folder: see `ModelStore`.
        limits: see `Limits`.
        poll_seconds: how often to look for new versions.
        intra_op_threads: see `set_threads`.

    Raises:
        RuntimeError: if there is no model that can be loaded.
    """

    def __init__(self, folder, limits, poll_seconds, intra_op_threads):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # replicas may share one
        from keras_attention.serving.server import make_store, set_threads  # here, since it imports TensorFlow

        set_threads(intra_op_threads)
        set_up_logs()
        ACCESS.setLevel(logging.WARNING)  # the front writes that
        self._store = make_store(folder, poll_seconds, limits)
        self._store.look()
        self.check_health()
        self._store.start()
        self._app = make_app(self._store, limits)

    async def answer(self, method, path, body):
        """The application's `Answer` to a request."""
        return await _call(self._app, method, path, body)

    def check_health(self):
        """For Ray, which replaces a replica that fails it: another may be able to load what this one cannot.

        Raises:
            RuntimeError: if no model answers.
        """
        if not self._store.names:
            raise RuntimeError(f"{self._store.folder} has no model that can be loaded.")

    def __del__(self):
        if hasattr(self, "_store"):
            self._store.stop()


def import_ray(alone=False):
    """The modules `ray` and `ray.serve`, with Ray's usage reports off unless they are asked for.

    Args:
        alone: whether it is for a Ray of this process alone. Whoever can talk
            to a Ray can run programs there, so that one gets a secret.

    Raises:
        RuntimeError: if Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if alone and "ray" not in sys.modules:  # it looks at these when it is imported
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
        from ray import serve
    except ImportError as error:
        raise RuntimeError("Replicas need Ray: `pip install '.[ray]'` in a clone of the repository.") from error
    return ray, serve


def _replica(
    folder,
    replicas=2,
    limits=Limits(),
    poll_seconds=1.0,
    max_replicas=None,
    target_ongoing_requests=ONGOING // 2,
    gpus=0.0,
    intra_op_threads=1,
):
    """The deployment of `Replica`, bound."""
    _, serve = import_ray()
    most = replicas if max_replicas is None else max_replicas
    if not 1 <= replicas <= most:
        raise ValueError(f"replicas must be at least 1 and at most max_replicas ({max_replicas}). Received {replicas}.")
    folder = pathlib.Path(folder).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder. Export a model into it: `keras-attention export RUN {folder}/NAME`."
        )
    bounds = {"min_replicas": replicas, "max_replicas": most, "target_ongoing_requests": target_ongoing_requests}
    deployment = serve.deployment(
        Replica,
        name="replica",
        max_ongoing_requests=ONGOING,
        max_queued_requests=limits.queue,
        max_constructor_retry_count=3,
        health_check_period_s=_HEALTH_SECONDS,
        graceful_shutdown_timeout_s=30,
        logging_config=_LOGGING,
        ray_actor_options={"num_cpus": 1, "num_gpus": gpus},
        **({"num_replicas": replicas} if most == replicas else {"autoscaling_config": bounds}),
    )
    return deployment.bind(str(folder), limits, poll_seconds, intra_op_threads)


async def _call(app, method, path, body):
    """Calls an ASGI application without a socket."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    start, *parts = sent
    return Answer(start["status"], list(start["headers"]), b"".join(part.get("body", b"") for part in parts))
