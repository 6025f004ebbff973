"""The server several times over: `keras-attention serve --replicas N`, on Ray Serve.

    client -> front -> one of the replicas

A replica is a process with models, see `keras_attention.serving.replica`; the
front is the application of `keras_attention.serving.front`. `serve_replicas` is
the front itself. On a cluster that is described by a file, `build` makes the
front a deployment, behind Ray's proxies.
"""

from keras_attention.serving.connection import make_server
from keras_attention.serving.front import make_front
from keras_attention.serving.logs import set_up_logs, warn_if_open
from keras_attention.serving.middleware import read_token
from keras_attention.serving.predictor import Limits
from keras_attention.serving.ray_replicas import (
    HEALTH_SECONDS,
    LOGGING,
    ONGOING,
    deploy_replica,
    import_ray,
    running_replicas,
)


def serve_replicas(
    place,
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
    tls=None,
):
    """Serves models from several processes until it is told to stop; requests that are under way then are finished.

    Each replica finds new versions of a model by itself, so two versions answer
    for a moment.

    Args:
        place: folder of models, or a model configuration file, which each
            replica reads again when it changes; all machines must see it, and what it names, under this path.
        replicas: processes; the fewest if there is a `max_replicas`.
        host: address to bind to; the default is this machine alone.
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
        tls: see `Tls`; None for connections that are not encrypted.

    Raises:
        FileNotFoundError: if the folder or file is not there.
        RuntimeError: if Ray is not installed, or the replicas do not start.
        ValueError: if `max_replicas` is below `replicas`, or the file is wrong.
    """
    set_up_logs()
    warn_if_open(host, token)
    options = {
        "max_replicas": max_replicas,
        "target_ongoing_requests": target_ongoing_requests,
        "gpus": gpus,
        "intra_op_threads": intra_op_threads,
    }
    with running_replicas(place, replicas, limits, poll_seconds, address=address, **options) as handle:
        app = make_front(handle, limits, token)
        make_server(app, host, port, limits, tls).run()


def build(arguments):
    """Ray Serve's application, for a configuration file whose `import_path` names this function.

    Args:
        arguments: the file's `args`, a dict: `folder`, or a model
            configuration file in its place; `replicas`,
            `max_replicas`, `target_ongoing_requests`, `gpus`,
            `intra_op_threads` and `poll_seconds` as for `serve_replicas`; `limits`, a dict;
            `token_file`, which holds the token; `fronts`, the processes that
            hold requests, each of which counts its own metrics.

    Returns:
        A `ray.serve.Application`.

    Raises:
        FileNotFoundError: if the folder or file is not there.
        RuntimeError: if Ray is not installed.
        ValueError: if `max_replicas` is below `replicas`, or the file is wrong.
    """
    _, serve = import_ray()
    arguments = dict(arguments)
    token = read_token(arguments.pop("token_file", None))
    fronts = arguments.pop("fronts", 1)
    limits = Limits(**arguments.pop("limits", {}))
    replica = deploy_replica(arguments.pop("folder"), limits=limits, **arguments)

    def build_front():
        set_up_logs()
        return make_front(serve.get_deployment_handle("replica"), limits, token)

    front = serve.deployment(
        serve.ingress(build_front)(),
        name="front",
        num_replicas=fronts,
        max_ongoing_requests=10_000,  # the replicas' queue refuses what is too much
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=30,
        logging_config=LOGGING,
        ray_actor_options={"num_cpus": 0},
    )
    return front.bind(replica)
