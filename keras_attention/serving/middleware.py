"""What every request passes: the access log, and the token."""

import base64
import binascii
import hmac
import logging
import time

from keras_attention.serving import protocol
from keras_attention.serving.logs import ACCESS, LOG, LOOPBACK, log_request

# For whoever watches over the process; and what browsers fetch without the password, which says nothing.
_OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/manifest.json")


class AccessLog:
    """Writes a line of JSON for each request, and answers 500 in the protocol's form if anything was overlooked."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, sent = time.perf_counter(), {"status": 0, "bytes": 0}

        async def note(message):
            if message["type"] == "http.response.start":
                sent["status"] = message["status"]
            elif message["type"] == "http.response.body":
                sent["bytes"] += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, note)
        except Exception:
            LOG.exception("a fault of the server")
            if not sent["status"]:
                await _respond(note, 500, b"Internal error")
        finally:
            if ACCESS.isEnabledFor(logging.INFO):
                client = scope.get("client")
                log_request(
                    client=client[0] if client else "",
                    method=scope["method"],
                    path=scope["path"],
                    status=sent["status"],
                    bytes=sent["bytes"],
                    ms=round(1000 * (time.perf_counter() - begin), 2),
                )


class Token:
    """Lets those pass who know the token.

    Programs send `Authorization: Bearer TOKEN`. A browser asks its user, and
    sends the token as the password of any name.

    Args:
        app: what they pass to.
        token: compared in constant time.
    """

    def __init__(self, app, token):
        self.app = app
        self.token = token.encode()

    async def __call__(self, scope, receive, send):
        if scope["type"] not in ("http", "websocket") or scope["path"] in _OPEN or self._knows(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            challenge = [(b"www-authenticate", b'Basic realm="keras-attention"')]
            await _respond(send, 401, b"A token is needed: Authorization: Bearer TOKEN", challenge)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _knows(self, scope):
        header = dict(scope["headers"]).get(b"authorization", b"")
        kind, _, given = header.partition(b" ")
        if kind.lower() == b"basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                given = b""
        elif kind.lower() != b"bearer":
            given = b""
        return hmac.compare_digest(given, self.token)


class LocalHosts:
    """Refuses requests for other hosts than this machine, as a browser sends them that a foreign page has fooled.

    For a server that is bound to this machine alone: whatever name leads to it,
    the page that uses the name may be anybody's ("DNS rebinding").

    Args:
        app: what the others pass to.
        hosts: further names, such as that under which a proxy is reached.
    """

    def __init__(self, app, hosts=()):
        self.app = app
        self.hosts = (*LOOPBACK, "", *hosts)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and _host_of(_header(scope, b"host")) not in self.hosts:
            await _respond(send, 400, b"This server answers for localhost alone; --allow-host NAME allows another.")
        else:
            await self.app(scope, receive, send)


def is_foreign(scope):
    """Whether a browser sent a request for a page of another origin."""
    origin = _header(scope, b"origin")
    return bool(origin) and origin.partition(b"://")[2] != _header(scope, b"host")


def _header(scope, name):
    return dict(scope["headers"]).get(name, b"")


def _host_of(value):
    """The name in a `Host` header, without the port."""
    text = value.decode("latin-1")
    return text.partition("]")[0].lstrip("[") if text.startswith("[") else text.partition(":")[0]


def read_token(file):
    """The token in a file; None without a file.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is empty.
    """
    if file is None:
        return None
    with open(file, encoding="utf-8") as lines:
        token = lines.read().strip()
    if not token:
        raise ValueError(f"{file} is empty; it must hold the token.")
    return token


async def _respond(send, status, message, headers=()):
    body = protocol.format_error(message.decode())
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
