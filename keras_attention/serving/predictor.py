"""From the body of a prediction to that of its answer, within limits.

A request waits on a thread, where it is joined with the others that wait for
the same; the event loop only reads and writes.
"""

import asyncio
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import NamedTuple

from starlette.requests import ClientDisconnect

from keras_attention.serving.errors import RequestError

_STATUSES = {
    200: "OK",
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    499: "CANCELLED",  # as others call a client that hung up
    503: "UNAVAILABLE",
}

# Bytes of a body that the event loop itself reads, and numbers and strings of an answer that it writes: a thread that
# wants the interpreter waits longer for it than that takes. What is larger would hold up the others.
SMALL, SMALL_ANSWER = 1024, 16_384
# Requests under way from which on a client is watched while it waits, so that nothing is computed for one that hung up.
CROWDED = 32


class Limits(NamedTuple):
    """What a server accepts.

    Attributes:
        body: bytes of a request.
        text_length: bytes of a string.
        batch: rows of a request.
        positions: rows of a request times the bytes of its longest string, to
            which the others are padded.
        queue: predictions that wait or run; those beyond are answered 503.
        seconds: for a body to arrive.
        answer: bytes of an answer.
        head_seconds: for the head of a request to arrive.
        write_seconds: for an answer to be read.
    """

    body: int = 1_000_000
    text_length: int = 10_000
    batch: int = 1024
    positions: int = 262_144
    queue: int = 512
    seconds: float = 30.0
    answer: int = 16_000_000
    head_seconds: float = 10.0
    write_seconds: float = 60.0


class Predictor:
    """Answers `:predict`: reads, parses, waits on a thread for TensorFlow, formats.

    Args:
        store: the `ModelStore`.
        limits: see `Limits`.
        metrics: to note in.
    """

    def __init__(self, store, limits, metrics):
        self.store = store
        self.limits = limits
        self.metrics = metrics
        self._waiting = 0
        self._threads = ThreadPoolExecutor(min(limits.queue, 64), thread_name_prefix="predict")
        self._apart = ThreadPoolExecutor(1, thread_name_prefix="predict_long")
        self._lock = threading.Lock()
        self._together = {}  # executors of one thread by the name of a model, for what is joined

    async def answer(self, request, model, parse):
        """The answer, as what was asked formats it: bytes, or an `InferAnswer`.

        Args:
            request: request whose body asks.
            model: name, version and label; see `ModelStore.get`.
            parse: from a body and the inputs of the signatures, by name, to
                what it asks; see `protocol.PredictRequest` and
                `open_inference.InferRequest`.

        Raises:
            RequestError: with the status that TensorFlow Serving gives.
        """
        begin = time.perf_counter()
        servable = self.store.get(*model)
        status = "INTERNAL"
        try:
            body = await read_body(request, self.limits)
            if self._waiting >= self.limits.queue:
                raise RequestError(503, f"{self._waiting} requests are waiting already. Try again later.")
            self._waiting += 1
            self.metrics.in_flight.set(self._waiting)
            try:
                answer = await self._answer(request, servable, body, parse)
            finally:
                self._waiting -= 1
                self.metrics.in_flight.set(self._waiting)
            status = "OK"
            return answer
        except RequestError as error:
            status = name_of_status(error.status)
            raise
        finally:
            self.metrics.count_request(servable.name, status, time.perf_counter() - begin)

    def predict(self, servable, signature_name, inputs, when_gone=lambda give_up: True):
        """A servable's outputs, for arrays that are within the limits; noted in the metrics.

        Args:
            servable: the `Servable` to ask.
            signature_name: name of one of its signatures.
            inputs: arrays by name.
            when_gone: takes a function to call when the client hangs up, and
                returns whether it is still there.

        Raises:
            RequestError: 400 for what the limits or the model refuse, 503 if too many wait.
        """
        prediction = self._prepare(servable, signature_name, inputs)
        running = prediction.start(self._threads_for(prediction))
        if not when_gone(running.cancel):
            running.cancel()
        try:
            running.result()
        except CancelledError:
            raise gone() from None
        outputs = self._finish(prediction)
        self._check_answer(outputs)
        return outputs

    def close(self):
        """Drops what waits still."""
        for threads in (self._threads, self._apart, *self._together.values()):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request, servable, body, parse):
        """From the body of a request to that of its answer."""
        loop = asyncio.get_running_loop()

        async def python(small, function, *arguments):
            if small:
                return function(*arguments)
            return await loop.run_in_executor(self._threads, function, *arguments)

        small = len(body) <= SMALL
        prediction, asked = await python(small, self._begin, servable, body, parse)
        running = asyncio.wrap_future(prediction.start(self._threads_for(prediction)))
        if prediction.is_long or self._waiting >= CROWDED:
            await _unless_gone(request, running)
        await running
        outputs = await python(small, self._finish, prediction)
        self._check_answer(outputs)
        small = small and sum(array.size for array in outputs.values()) <= SMALL_ANSWER
        return await python(small, asked.format_answer, outputs, servable)

    def _threads_for(self, prediction):
        """Those that wait for TensorFlow: one for all with long strings, and one for those of a model that are joined.

        What is on one thread comes one after another.
        """
        if prediction.is_long:
            return self._apart
        if not prediction.is_joined:
            return self._threads
        with self._lock:
            if prediction.model not in self._together:
                self._together[prediction.model] = ThreadPoolExecutor(1, thread_name_prefix="predict_together")
            return self._together[prediction.model]

    def _begin(self, servable, body, parse):
        inputs = {name: signature.inputs for name, signature in servable.signatures.items()}
        asked = parse(body, inputs)
        return self._prepare(servable, asked.signature_name, asked.inputs), asked

    def _prepare(self, servable, signature_name, inputs):
        self._check(inputs)
        return servable.prepare(signature_name, inputs)

    def _finish(self, prediction):
        outputs = prediction.outputs()
        self.metrics.observe_runtime(prediction.model, prediction.seconds)
        for rows in prediction.batches:
            self.metrics.observe_batch(prediction.model, rows)
        return outputs

    def _check_answer(self, outputs):
        """Refuses an answer that would be too large, before it is written."""
        size = sum(_size_of(array) for array in outputs.values())
        if size > self.limits.answer:
            raise RequestError(
                400, f"The answer has about {size:,} bytes; this server sends {self.limits.answer:,} at once. Send "
                "fewer rows, or shorter ones.",
            )  # fmt: skip

    def _check(self, inputs):
        for name, array in inputs.items():
            if array.ndim and len(array) > self.limits.batch:
                raise RequestError(
                    400, f"input '{name}' has {len(array):,} rows; this server takes {self.limits.batch:,} at once."
                )
            if array.ndim and len(array) == 0:
                raise RequestError(400, f"input '{name}' must have at least one row. Received an empty batch.")
            if array.dtype == object:
                longest = max((len(text) for text in array.reshape(-1)), default=0)
                if longest > self.limits.text_length:
                    raise RequestError(
                        400, f"input '{name}' has a string of {longest:,} bytes; this server takes "
                        f"{self.limits.text_length:,}.",
                    )  # fmt: skip
                if array.size * longest > self.limits.positions:
                    raise RequestError(
                        400, f"input '{name}' has {array.size:,} strings that are padded to {longest:,} bytes; this "
                        f"server takes {self.limits.positions:,} bytes at once. Send long strings apart.",
                    )  # fmt: skip


async def read_body(request, limits):
    """The body of a request, held to the limits while it arrives.

    Raises:
        RequestError: 413 if it is too large, 408 if it does not arrive in time.
    """
    too_large = RequestError(413, f"The body is larger than {limits.body:,} bytes.")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limits.body:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.body:
                    raise too_large
    except TimeoutError:
        raise RequestError(408, f"The body did not arrive within {limits.seconds:g} seconds.") from None
    except ClientDisconnect:
        raise gone() from None
    return bytes(body)


async def _unless_gone(request, running):
    """Waits for a future, and cancels it if the client hangs up before it is run."""
    watched = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((running, watched), return_when=asyncio.FIRST_COMPLETED)
        if not running.done() and watched.result()["type"] == "http.disconnect":
            running.cancel()
            raise gone()
    finally:
        watched.cancel()


def gone():
    """The error of a request whose client hung up, to which nobody listens."""
    return RequestError(499, "The client hung up.")


def _size_of(array):
    """About how many bytes an array has as JSON."""
    if array.dtype == object:
        return sum(len(text) + 4 for text in array.reshape(-1))
    return array.size * 12


def name_of_status(status):
    """TensorFlow's word for a status of HTTP."""
    return _STATUSES.get(status, "INTERNAL")
