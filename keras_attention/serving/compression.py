"""gzip, in both directions: bodies that come compressed, and answers to clients that take them compressed.

A body is inflated piece by piece while it is read, so that its reader refuses it
as soon as it is too large, however little was sent.
"""

import asyncio
import gzip
import zlib

from keras_attention.serving.errors import RequestError

PIECE = 65_536  # bytes that are inflated at once
SMALLEST = 8192  # bytes of an answer that is worth the time, which is a third of a millisecond at least
_AT_ONCE = 65_536  # bytes that the event loop compresses by itself
_LEVEL = 1  # a third of the time of zlib's usual level; numbers in JSON gain little from more
_GZIP = (b"gzip", b"x-gzip")


class Compression:
    """Inflates bodies, and compresses answers.

    Args:
        app: an ASGI application, which sees neither.
        most: bytes of a body, as it is sent.
    """

    def __init__(self, app, most):
        self.app = app
        self.most = most

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            encoding = headers.get(b"content-encoding", b"identity").strip().lower()
            if encoding != b"identity":
                receive = _Inflated(receive, encoding, self.most).receive
            if scope["method"] != "HEAD" and takes_gzip(headers.get(b"accept-encoding", b"")):
                send = _Compressed(send).send
        await self.app(scope, receive, send)


def takes_gzip(accepted):
    """Whether an `Accept-Encoding` header, bytes, names gzip and does not rule it out."""
    for choice in accepted.lower().split(b","):
        name, _, weight = choice.partition(b";")
        if name.strip() in _GZIP:
            return weight.replace(b" ", b"").rstrip(b".0") != b"q="
    return False


class _Inflated:
    """A `receive` of ASGI that gives the pieces of a compressed body.

    Args:
        receive: gives the body as it was sent.
        encoding: what it is compressed with.
        most: bytes of it.
    """

    def __init__(self, receive, encoding, most):
        self._receive = receive
        self._encoding = encoding
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._left = most
        self._waiting = b""  # compressed
        self._more = True  # to come
        self._done = False

    async def receive(self):
        if self._encoding not in _GZIP:
            raise RequestError(415, "Content-Encoding must be gzip or identity.")
        if self._done:
            return await self._receive()  # the end of the connection
        while self._more and not self._waiting:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._take(message)
        await asyncio.sleep(0)  # others come between the pieces
        return self._piece()

    def _take(self, message):
        self._waiting, self._more = message.get("body", b""), message.get("more_body", False)
        self._left -= len(self._waiting)
        if self._left < 0:
            raise RequestError(413, "The body is too large.")

    def _piece(self):
        try:
            body = self._inflate.decompress(self._waiting, PIECE)
        except zlib.error as error:
            raise RequestError(400, f"The body is not in gzip's format: {error}") from None
        if self._inflate.unused_data:
            raise RequestError(400, "The body goes on behind the end of its gzip data.")
        self._waiting = self._inflate.unconsumed_tail  # never empty before the end: the checksum comes behind the data
        self._done = not (self._waiting or self._more)
        if self._done and not self._inflate.eof:
            raise RequestError(400, "The body ends before its gzip data does.")
        return {"type": "http.request", "body": body, "more_body": not self._done}


class _Compressed:
    """A `send` of ASGI that compresses an answer which comes as one piece.

    Args:
        send: takes the answer.
    """

    def __init__(self, send):
        self._send = send
        self._start = None

    async def send(self, message):
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            body = message.get("body", b"")
            if not message.get("more_body", False) and len(body) >= SMALLEST and _may_be_compressed(start):
                start, message = await _compressed(start, body)
            await self._send(start)
        await self._send(message)


def _may_be_compressed(start):
    names = {name.lower() for name, _ in start.get("headers", ())}
    return start["status"] not in (204, 206, 304) and not names & {b"content-encoding", b"content-range"}


async def _compressed(start, body):
    if len(body) <= _AT_ONCE:
        body = gzip.compress(body, _LEVEL)
    else:
        body = await asyncio.to_thread(gzip.compress, body, _LEVEL)
    headers = [header for header in start["headers"] if header[0].lower() != b"content-length"]
    headers += [
        (b"content-length", str(len(body)).encode()),
        (b"content-encoding", b"gzip"),
        (b"vary", b"Accept-Encoding"),
    ]
    return {**start, "headers": headers}, {"type": "http.response.body", "body": body}
