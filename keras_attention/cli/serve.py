"""The subcommand `serve`."""

import argparse

from keras_attention.cli.common import Formatter, positive


def add_serve(commands):
    serve = commands.add_parser(
        "serve",
        help="answer over TensorFlow Serving's protocol",
        description="Serves every FOLDER/<name>/<version>/ over TensorFlow Serving's REST protocol, with a page at /.",
        formatter_class=Formatter,
    )
    serve.add_argument("folder", metavar="FOLDER", nargs="?", default="saved_models", help="of the models")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 for other machines too")
    serve.add_argument("--port", type=_port, default=8501, help="of HTTP")
    serve.add_argument("--grpc-port", type=_port, help="of TensorFlow Serving's gRPC; none without it")
    serve.add_argument("--token-file", metavar="FILE", help="holds what clients must send as a bearer token")
    serve.add_argument("--no-page", dest="page", action="store_false", help="serve the protocol alone")
    serve.add_argument("--poll-seconds", type=float, default=1.0, help="how often to look for new versions")
    serve.add_argument(
        "--intra-op-threads", type=positive, default=1, help="in one operation; more for models that are much larger"
    )
    several = serve.add_argument_group("several processes, on Ray Serve")
    several.add_argument("--replicas", type=positive, help="processes that answer; without it one, and no Ray")
    several.add_argument("--max-replicas", type=positive, help="most of them under load; --replicas is then the fewest")
    several.add_argument(
        "--target-ongoing-requests", type=positive, default=32, help="in a replica, before another one is started"
    )
    several.add_argument("--replica-gpus", type=float, default=0.0, help="of each replica; several may share one")
    several.add_argument("--ray-address", default="local", help="of a Ray cluster; local starts one for this command")
    limits = serve.add_argument_group("limits")
    limits.add_argument("--max-body", type=positive, default=1_000_000, help="bytes of a request")
    limits.add_argument("--max-text-length", type=positive, default=10_000, help="bytes of a string")
    limits.add_argument("--max-batch", type=positive, default=1024, help="strings of a request")
    limits.add_argument("--max-positions", type=positive, default=262_144, help="strings times bytes of the longest")
    limits.add_argument("--max-queue", type=positive, default=512, help="requests that wait; others are answered 503")
    limits.add_argument("--body-seconds", type=float, default=30.0, help="for a request to arrive")
    serve.set_defaults(run=_serve)


def _serve(options):
    try:
        from keras_attention.serving.app import Limits
        from keras_attention.serving.middleware import read_token
        from keras_attention.serving.server import serve
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"serve needs the package {error.name}: pip install 'keras-attention-layers[serve]'."
        ) from error
    limits = Limits(
        body=options.max_body,
        text_length=options.max_text_length,
        batch=options.max_batch,
        positions=options.max_positions,
        queue=options.max_queue,
        seconds=options.body_seconds,
    )
    shared = {
        "host": options.host,
        "port": options.port,
        "limits": limits,
        "token": read_token(options.token_file),
        "poll_seconds": options.poll_seconds,
        "intra_op_threads": options.intra_op_threads,
    }
    if options.replicas is None:
        serve(options.folder, page=options.page, grpc_port=options.grpc_port, **shared)
        return
    if options.grpc_port is not None:
        raise ValueError("--grpc-port does not go with --replicas, which answer REST only.")
    from keras_attention.serving.replicas import serve_replicas

    serve_replicas(
        options.folder,
        options.replicas,
        max_replicas=options.max_replicas,
        target_ongoing_requests=options.target_ongoing_requests,
        gpus=options.replica_gpus,
        address=options.ray_address,
        **shared,
    )


def _port(text):
    number = int(text)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"must lie between 1 and 65535, received {number}")
    return number
