"""What stands at `/` of the server: the page, once somebody asks for it.

The page is made when it is first asked for and a model answers, because its
library takes seconds to import, during which others would wait, and much memory.
Until then a small page stands there that asks again.
Whatever is not the page's goes by it, so the protocol's routes are as they were.
"""

import asyncio
import contextlib
import re

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from keras_attention.serving.logs import LOG
from keras_attention.serving.middleware import is_foreign
from keras_attention.serving.predictor import read_body

# What the page asks for; the rest of what Gradio offers, such as to upload files, stays shut.
_PATHS = re.compile(r"/(theme\.css|config|manifest\.json|favicon\.ico)?|/(assets|static)/.+|/gradio_api/run/[a-z_]+")
# Holds the browser to this server, whatever Gradio's scripts would like to fetch.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; base-uri 'self'; form-action 'self'; "
    "object-src 'none'"
)
_WAITING = """\
<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>keras-attention</title><body style="font: 1rem system-ui, sans-serif; padding: 2rem">
<p>The page appears in some seconds, once a model answers.</p>"""
_BROKEN = _WAITING.replace('<meta http-equiv="refresh" content="1">', "").replace(
    "appears in some seconds, once a model answers", "cannot be shown; the server's log says why"
)


def mount_page(app, store):
    """Shows a page at `/` of an application that is not running yet.

    Args:
        app: app of `make_app`.
        store: store of the models that the page offers.
    """
    page = Page(store, app.state.predictor, app.router.default)
    app.router.default = page
    outer = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(app):
        async with outer(app) as state:
            task = asyncio.create_task(page.live())
            try:
                yield state
            finally:
                task.cancel()
                await asyncio.wait([task])

    app.router.lifespan_context = lifespan


class Page:
    """What answers for paths that no route of the server has.

    Args:
        store: store of the models.
        predictor: `Predictor`, whose limits hold for the page too.
        not_found: answers for what is not the page's.
    """

    def __init__(self, store, predictor, not_found):
        self._store = store
        self._predictor = predictor
        self._not_found = not_found
        self._wanted = asyncio.Event()
        self._shown = _wait

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or not _PATHS.fullmatch(scope["path"]) or is_foreign(scope):
            await self._not_found(scope, receive, send)
            return
        self._wanted.set()
        body = await read_body(Request(scope, receive), self._predictor.limits)
        await self._shown(dict(scope), _receive_again(body, receive), _send_with_policy(send))

    async def live(self):
        """Makes the page once somebody wants it and a model answers, and keeps it until it is cancelled."""
        await self._wanted.wait()
        while not self._store.names:
            await asyncio.sleep(0.1)
        try:
            made = await asyncio.to_thread(_make, self._store, self._predictor)
            async with made.router.lifespan_context(made):
                self._shown = made
                await asyncio.Event().wait()
        except Exception:
            LOG.exception("the page cannot be shown")
            self._shown = HTMLResponse(_BROKEN, 500)


async def _wait(scope, receive, send):
    """Answers until the page is made: with a page that asks again, and without what only the real one asks for."""
    if scope["path"] == "/":
        response = HTMLResponse(_WAITING, headers={"Cache-Control": "no-store"})
    else:
        response = Response(status_code=503, headers={"Retry-After": "1"})
    await response(scope, receive, send)


def _make(store, predictor):
    from keras_attention.serving.gradio_page import make_page  # this is what takes seconds

    return make_page(store, predictor)


def _receive_again(body, receive):
    """A `receive` of ASGI that begins with a body that was read already."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again():
        return messages.pop() if messages else await receive()

    return again


def _send_with_policy(send):
    async def send_with_policy(message):
        if message["type"] == "http.response.start":
            headers = [header for header in message.get("headers", ()) if not header[0].startswith(b"access-control-")]
            headers.append((b"content-security-policy", _POLICY.encode()))
            message = {**message, "headers": headers}
        await send(message)

    return send_with_policy
