"""Bodies and answers in gzip: what they hold, and bodies that would hold too much."""

import gzip
import json
import random
import socket
import time
import tracemalloc
import zlib

import pytest

from keras_attention.serving.compression import PIECE, takes_gzip
from keras_attention.serving.predictor import Limits

from .conftest import running

PREDICT = "/v1/models/dates:predict"
GZIP = {"Content-Encoding": "gzip"}
DATES = json.dumps({"instances": ["9", "97"]}).encode()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZip", "identity"])
def test_a_compressed_body_is_answered_as_a_plain_one(server, encoding):
    body = DATES if encoding == "identity" else gzip.compress(DATES)
    plain = server.ask("POST", PREDICT, DATES)
    assert plain[0] == 200
    assert server.ask("POST", PREDICT, body, {"Content-Encoding": encoding}) == plain


@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 7])
def test_bodies_of_every_size_come_whole(server, size):
    noise = random.Random(size).choices("0123456789", k=size)
    for text in ("9" * size, "".join(noise)):
        body = json.dumps({"instances": [3], "nothing": text}).encode()
        status, answer = server.ask("POST", PREDICT, gzip.compress(body), GZIP)
        expected = (400, "JSON Value: 3") if len(body) <= 200_000 else (413, "The body is larger")
        assert status == expected[0] and answer["error"].startswith(expected[1])


def test_a_body_in_many_parts_comes_whole(server):
    body = gzip.compress(DATES)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /v1/models/dates:predict HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nConnection: close\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for byte in body:
            client.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
        client.sendall(b"0\r\n\r\n")
        answer = b""
        while part := client.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200") and json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]


def bomb(size):
    """gzip's form of so many zeros, which is a thousandth of that."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    piece = bytes(1_000_000)
    return b"".join([*(deflate.compress(piece) for _ in range(size // len(piece))), deflate.flush()])


def test_a_bomb_is_refused_before_it_is_inflated(server):
    body = bomb(190_000_000)
    assert len(body) < 200_000  # less than the server takes
    server.ask("POST", PREDICT, gzip.compress(DATES), GZIP)
    tracemalloc.start()
    begin = time.monotonic()
    status, answer = server.ask("POST", PREDICT, body, GZIP)
    seconds, (_, most) = time.monotonic() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (status, answer) == (413, {"error": "The body is larger than 200,000 bytes."})
    assert most < 5_000_000
    assert seconds < 0.5
    assert server.headers["connection"] == "close"


def test_data_that_gives_nothing_is_counted_as_it_comes(server):
    empty = b"\0\0\0\xff\xff"  # a block of deflate without content
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /v1/models/dates:predict HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
            b"a\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03\r\n"
        )
        for _ in range(5):
            client.sendall(b"c350\r\n" + empty * 10_000 + b"\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("body", "encoding", "status", "message"),
    [
        (DATES, "gzip", 400, "The body is not in gzip's format"),
        (b"", "gzip", 400, "The body ends before its gzip data does"),
        (gzip.compress(DATES, mtime=0)[:-1], "gzip", 400, "The body ends before its gzip data does"),
        (gzip.compress(DATES, mtime=0) + b"more", "gzip", 400, "The body goes on behind the end"),
        (DATES, "br", 415, "Content-Encoding must be gzip or identity"),
        (DATES, "gzip, gzip", 415, "Content-Encoding must be gzip or identity"),
    ],
)
def test_what_is_no_gzip_is_refused(server, body, encoding, status, message):
    received, answer = server.ask("POST", PREDICT, body, {"Content-Encoding": encoding})
    assert received == status and answer["error"].startswith(message)


def test_a_large_answer_is_compressed_for_clients_that_take_it(server):
    content = json.dumps({"instances": ["3 May 1979" + 50 * " "] * 8}).encode()
    status, plain = server.ask("POST", PREDICT, content)
    assert status == 200 and "content-encoding" not in server.headers
    size = int(server.headers["content-length"])
    status, answer = server.ask("POST", PREDICT, content, {"Accept-Encoding": "br, gzip"})
    assert status == 200 and server.headers["content-encoding"] == "gzip"
    assert server.headers["vary"] == "Accept-Encoding"
    assert int(server.headers["content-length"]) < size / 2
    assert answer == plain
    server.ask("GET", "/v1/models/dates", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in server.headers  # too small to gain


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        (b"gzip", True),
        (b"deflate, GZIP;q=0.5", True),
        (b"gzip; q=1.0", True),
        (b"gzip;q=0", False),
        (b"br;q=1.0, gzip; q=0.000", False),
        (b"br", False),
        (b"*", False),
        (b"", False),
    ],
)
def test_only_clients_that_say_so_get_gzip(accepted, takes):
    assert takes_gzip(accepted) == takes


def test_the_limit_holds_for_what_was_inflated(models):
    with running(models, Limits(body=1000)) as server:
        content = json.dumps({"instances": ["9" * 800]}).encode()
        assert server.ask("POST", PREDICT, gzip.compress(content), GZIP)[0] == 200
        content = json.dumps({"instances": ["9" * 1200]}).encode()
        assert server.ask("POST", PREDICT, gzip.compress(content), GZIP)[0] == 413
