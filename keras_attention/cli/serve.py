"""The subcommand `serve`."""

import argparse
import pathlib

from keras_attention.cli.common import add_command, positive, seconds


def add_serve(commands):
    serve = add_command(
        commands,
        "serve",
        "serve models over TensorFlow Serving's REST and gRPC protocols",
        "serve",
        "serve saved_models --port 8501 --grpc-port 8500",
        description="Serves every FOLDER/<name>/<version>/ over TensorFlow Serving's REST protocol, with a page at /.",
    )
    serve.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        help="folder of models (default: the one in the package, with a reader of dates)",
    )
    serve.add_argument(
        "--model-config",
        metavar="FILE",
        help="instead of FOLDER: TensorFlow Serving's model configuration file, read again when it changes",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to bind to; 0.0.0.0 accepts other machines")
    serve.add_argument("--port", type=_port, default=8501, help="HTTP port")
    serve.add_argument("--grpc-port", type=_port, help="gRPC port (default: no gRPC)")
    serve.add_argument("--token-file", metavar="FILE", help="file with the bearer token that clients must send")
    serve.add_argument("--certificate", metavar="FILE", help="certificate of the server, which then speaks TLS alone")
    serve.add_argument("--key", metavar="FILE", help="private key of the certificate")
    serve.add_argument(
        "--cors",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="origin that may send cross-origin requests (CORS)",
    )
    serve.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="name that clients may use for a server bound to this machine, such as that of a proxy",
    )
    serve.add_argument("--no-page", dest="page", action="store_false", help="do not serve the web page")
    serve.add_argument(
        "--poll-seconds", type=seconds, default=1.0, help="seconds between checks for new model versions"
    )
    serve.add_argument(
        "--intra-op-threads", type=positive, default=1, help="threads per operation; more for much larger models"
    )
    _add_replicas(serve)
    _add_limits(serve)
    serve.set_defaults(run=_serve)


def _add_replicas(serve):
    several = serve.add_argument_group("several processes, on Ray Serve")
    several.add_argument(
        "--replicas", type=positive, help="number of server processes, on Ray (default: one, without Ray)"
    )
    several.add_argument(
        "--max-replicas", type=positive, help="upper limit under load; --replicas is then the lower limit"
    )
    several.add_argument(
        "--target-ongoing-requests",
        type=positive,
        default=32,
        help="requests per replica before another one is started",
    )
    several.add_argument("--replica-gpus", type=float, default=0.0, help="GPUs per replica; fractions share one")
    several.add_argument(
        "--ray-address", default="local", help="address of a Ray cluster; local starts one for this command"
    )


def _add_limits(serve):
    limits = serve.add_argument_group("limits")
    limits.add_argument("--max-body", type=positive, default=1_000_000, help="maximum size of a request in bytes")
    limits.add_argument("--max-text-length", type=positive, default=10_000, help="maximum size of a string in bytes")
    limits.add_argument("--max-batch", type=positive, default=1024, help="maximum number of strings per request")
    limits.add_argument(
        "--max-positions", type=positive, default=262_144, help="maximum of strings times bytes of the longest"
    )
    limits.add_argument(
        "--max-queue",
        type=positive,
        default=512,
        help="maximum number of waiting requests; further ones are answered 503",
    )
    limits.add_argument(
        "--body-seconds", type=seconds, default=30.0, help="maximum time for a request to arrive, in seconds"
    )
    limits.add_argument("--max-answer", type=positive, default=16_000_000, help="maximum size of an answer in bytes")
    limits.add_argument(
        "--head-seconds", type=seconds, default=10.0, help="maximum time for the head of a request to arrive"
    )
    limits.add_argument(
        "--write-seconds", type=seconds, default=60.0, help="maximum time for a client to read an answer"
    )


def _serve(options):
    try:
        from keras_attention.serving.middleware import read_token
        from keras_attention.serving.model_sources import source_of
        from keras_attention.serving.server import serve
        from keras_attention.serving.tls import read_tls
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"serve needs the package {error.name}: `pip install '.[serve]'` in a clone of the repository."
        ) from error
    shared = {
        "host": options.host,
        "port": options.port,
        "limits": _limits_of(options),
        "token": read_token(options.token_file),
        "tls": read_tls(options.certificate, options.key),
        "poll_seconds": options.poll_seconds,
        "intra_op_threads": options.intra_op_threads,
    }
    if options.replicas is not None:
        _serve_replicas(options, shared)
        return
    serve(
        source_of(_place_of_models(options)),
        page=options.page,
        grpc_port=options.grpc_port,
        origins=options.cors,
        allowed_hosts=options.allow_host,
        **shared,
    )


def _limits_of(options):
    from keras_attention.serving.predictor import Limits

    return Limits(
        body=options.max_body,
        text_length=options.max_text_length,
        batch=options.max_batch,
        positions=options.max_positions,
        queue=options.max_queue,
        seconds=options.body_seconds,
        answer=options.max_answer,
        head_seconds=options.head_seconds,
        write_seconds=options.write_seconds,
    )


def _serve_replicas(options, shared):
    if options.grpc_port is not None:
        raise ValueError("--grpc-port does not go with --replicas, which answer REST only.")
    if options.cors or options.allow_host:
        raise ValueError("--cors and --allow-host do not go with --replicas.")
    from keras_attention.serving.replicas import serve_replicas

    serve_replicas(
        _place_of_models(options),
        options.replicas,
        max_replicas=options.max_replicas,
        target_ongoing_requests=options.target_ongoing_requests,
        gpus=options.replica_gpus,
        address=options.ray_address,
        **shared,
    )


def _place_of_models(options):
    """The folder of models, or the configuration file."""
    from keras_attention.pretrained import FOLDER

    if not options.model_config:
        return options.folder or FOLDER
    if options.folder:
        raise ValueError("FOLDER and --model-config do not go together: the file names the models' folders.")
    if not pathlib.Path(options.model_config).is_file():
        raise FileNotFoundError(f"--model-config: {options.model_config} is not a file.")
    return options.model_config


def _port(text):
    number = int(text)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"must lie between 1 and 65535, received {number}")
    return number
