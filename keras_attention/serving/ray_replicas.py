"""Replicas on Ray Serve: the module itself, the deployment, and one that runs for as long as it is needed."""

import contextlib
import os
import pathlib
import secrets
import sys

from keras_attention.serving.model_sources import source_of
from keras_attention.serving.predictor import Limits
from keras_attention.serving.replica import Replica

NAME = "keras-attention"  # of Ray Serve's application
ONGOING = 64  # requests in a replica: as many as its application has threads, so TensorFlow can join them
HEALTH_SECONDS = 2.0  # between checks: how soon one that died is replaced
LOGGING = {"enable_access_log": False}  # the front writes one


@contextlib.contextmanager
def running_replicas(place, replicas=2, limits=Limits(), poll_seconds=1.0, address="local", **options):
    """Replicas that answer within a `with` block, which gets Ray Serve's handle of them.

    Args:
        place: see `serve_replicas`, as are the others.
        replicas: processes.
        limits: see `Limits`.
        poll_seconds: how often a replica looks for new versions.
        address: address of a Ray cluster, or `"local"`.
        options: `max_replicas`, `target_ongoing_requests`, `gpus`,
            `intra_op_threads`.

    Raises:
        FileNotFoundError: if the folder or file is not there.
        RuntimeError: if Ray is not installed, or the replicas do not start.
        ValueError: if `max_replicas` is below `replicas`, or the file is wrong.
    """
    alone = address == "local"
    ray, serve = import_ray(alone)
    bound = deploy_replica(place, replicas, limits, poll_seconds, **options)
    if alone:
        # A replica asks for one CPU, by which Ray spreads replicas over machines; on one machine all shall find room.
        processors = max(os.cpu_count() or 1, replicas, options.get("max_replicas") or 0)
        ray.init(address, num_cpus=processors, include_dashboard=False)
    else:
        ray.init(address)
    try:
        serve.start("Disabled")
        yield serve.run(bound, name=NAME, route_prefix=None, logging_config=LOGGING)
    finally:
        serve.shutdown()
        ray.shutdown()


def deploy_replica(
    place,
    replicas=2,
    limits=Limits(),
    poll_seconds=1.0,
    max_replicas=None,
    target_ongoing_requests=ONGOING // 2,
    gpus=0.0,
    intra_op_threads=1,
):
    """The deployment of `Replica`, bound.

    Args:
        place: see `serve_replicas`, as are the others.
        replicas: processes; the fewest if there is a `max_replicas`.
        limits: see `Limits`.
        poll_seconds: how often a replica looks for new versions.
        max_replicas: most processes; None for always `replicas`.
        target_ongoing_requests: requests in a replica above which Ray starts
            another.
        gpus: GPUs of each replica.
        intra_op_threads: threads of each replica.

    Raises:
        FileNotFoundError: if the folder or file is not there.
        RuntimeError: if Ray is not installed.
        ValueError: if `max_replicas` is below `replicas`, or the file is wrong.
    """
    _, serve = import_ray()
    number = _number_of(replicas, max_replicas, target_ongoing_requests)
    place = pathlib.Path(place).resolve()
    source_of(place)  # what is wrong with it is said here, not by each replica
    deployment = serve.deployment(
        Replica,
        name="replica",
        max_ongoing_requests=ONGOING,
        max_queued_requests=limits.queue,
        max_constructor_retry_count=3,
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=30,
        logging_config=LOGGING,
        ray_actor_options={"num_cpus": 1, "num_gpus": gpus},
        **number,
    )
    return deployment.bind(str(place), limits, poll_seconds, intra_op_threads)


def _number_of(replicas, max_replicas, target_ongoing_requests):
    """How many replicas there are, as Ray Serve has it: always so many, or as the requests want it."""
    most = replicas if max_replicas is None else max_replicas
    if not 1 <= replicas <= most:
        raise ValueError(f"replicas must be at least 1 and at most max_replicas ({max_replicas}). Received {replicas}.")
    if most == replicas:
        return {"num_replicas": replicas}
    bounds = {"min_replicas": replicas, "max_replicas": most, "target_ongoing_requests": target_ongoing_requests}
    return {"autoscaling_config": bounds}


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
