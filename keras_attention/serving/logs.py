"""What the server writes on standard error: a line of JSON for each event and each request."""

import logging
import sys
import time

from keras_attention.serving.tensors import dump

LOG = logging.getLogger("keras_attention.serving")
ACCESS = logging.getLogger("keras_attention.access")

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class JsonLines(logging.Formatter):
    """A log record as one line of JSON; `extra={"fields": {...}}` adds to it."""

    def format(self, record):
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return dump(line).decode()


def set_up_logs():
    """Sends the server's logs, and uvicorn's, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for logger in (LOG, ACCESS, logging.getLogger("uvicorn.error")):
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False


def log_request(**fields):
    """A line of the access log. It does not look for its caller, which takes longer than the rest."""
    record = logging.LogRecord(ACCESS.name, logging.INFO, __file__, 0, "request", None, None)
    record.fields = fields
    ACCESS.handle(record)


def warn_if_open(host, token):
    """Warns of a server that others can reach and use."""
    if host not in LOOPBACK and token is None:
        LOG.warning("open to other machines without a token: whoever reaches the port can use it. Use --token-file")
