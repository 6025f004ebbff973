"""The server of an application, whose connections are held to limits before it hears of them and after it answered.

uvicorn gives a client all the time and memory that it likes for the head of a
request, and for reading the answer. Here both end.
"""

import asyncio
import resource
import signal
import threading

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from keras_attention.serving.predictor import Limits

HEAD_BYTES = 65_536
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\ncontent-length: 50\r\n"
    b'connection: close\r\n\r\n{"error":"The head of the request is too large."}\n'
)


def make_server(app, host, port, limits=Limits(), tls=None):
    """uvicorn's server for an application, whose connections are held to limits.

    Args:
        app: an ASGI application.
        host: address to listen at.
        port: HTTP port.
        limits: see `Limits`.
        tls: see `Tls`; None for connections that are not encrypted.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:  # each connection takes one
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    config = uvicorn.Config(
        app,
        host,
        port,
        http=type("Limited", (Connection,), {"limits": limits}),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=30,
        server_header=False,
        ssl_certfile=tls and tls.certificate,
        ssl_keyfile=tls and tls.key,
    )
    return Server(config)


class Server(uvicorn.Server):
    """uvicorn's, which also answers those whom the system let in before it was told to stop, and then returns."""

    def run(self, sockets=None):
        """Serves until SIGINT or SIGTERM comes.

        uvicorn raises SIGTERM once more when it has ended, which would end the
        process before what comes behind this call.
        """
        if threading.current_thread() is not threading.main_thread():
            super().run(sockets)
            return
        before = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            super().run(sockets)
        finally:
            signal.signal(signal.SIGTERM, before)

    async def shutdown(self, sockets=None):
        await asyncio.sleep(0.1)  # the loop takes in what waits
        await super().shutdown(sockets)


class Connection(HttpToolsProtocol):
    """Closes itself where a head is too large or too slow, or an answer is not read."""

    limits = Limits()
    _head = 0  # bytes of the head that is being read
    _reads_head = True
    _head_timer = _write_timer = None

    def connection_made(self, transport):
        super().connection_made(transport)
        self._head_timer = asyncio.get_running_loop().call_later(self.limits.head_seconds, transport.abort)

    def connection_lost(self, exc):
        self._cancel("_head_timer")
        self._cancel("_write_timer")
        super().connection_lost(exc)

    def data_received(self, data):
        super().data_received(data)
        if self._reads_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > HEAD_BYTES:
                self._refuse()

    def on_message_begin(self):
        super().on_message_begin()
        self._reads_head, self._head = True, 0
        if self._head_timer is None:  # not the first request of the connection
            self._head_timer = asyncio.get_running_loop().call_later(self.limits.head_seconds, self.transport.abort)

    def on_header(self, name, value):
        super().on_header(name, value)
        if not self._reads_head:  # behind the body, which nobody asked for
            self._refuse()

    def on_headers_complete(self):
        self._reads_head = False
        self._cancel("_head_timer")
        super().on_headers_complete()

    def pause_writing(self):
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = asyncio.get_running_loop().call_later(self.limits.write_seconds, self.transport.abort)

    def resume_writing(self):
        self._cancel("_write_timer")
        super().resume_writing()

    def _refuse(self):
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _cancel(self, name):
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)
