"""Serving the date converter: ours beside KServe's Python server and LitServe, over loopback.

`python benchmarks/serving.py [MODELS]` (a folder with `date_converter/<version>/`, made by `make demo`). The peers are
taken from the Python in `PEERS_PYTHON`, if their packages do not go with ours: `pip install kserve litserve
tensorflow tensorflow-text`. All serve the same SavedModel and answer with all its outputs, one date a request; the
clients are one process of asyncio, on the same cores. `--soak MINUTES` runs mixed load, hostile requests among it,
against ours, changes the version of the model ten times meanwhile, and plots its memory.
"""

import argparse
import asyncio
import base64
import contextlib
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from harness import ROOT, save

CLIENTS, SECONDS, ROUNDS = (1, 32), 8.0, 2
GOALS = {"KServe": 2.0, "LitServe": 1.5}
PORT = 8711
CHANGES = 10  # of the version, during a soak
DATES = [
    f"{day} {month} {year}" for day in range(1, 29) for month in ("May", "June", "October") for year in (1979, 2014)
]


def best_version(models):
    folder = models / "date_converter"
    return folder / str(max(int(path.name) for path in folder.iterdir() if path.name.isdecimal()))


def ours(models):
    command = [sys.executable, "-m", "keras_attention", "serve", str(models), "--port", str(PORT)]
    return command, "/v1/models/date_converter:predict", "/readyz"


def kserve(models):
    return _peer("kserve", models), "/v1/models/dates:predict", "/v1/models/dates"


def litserve(models):
    return _peer("litserve", models), "/predict", "/health"


def _peer(name, models):
    script = ROOT / f"benchmarks/serving_{name}.py"
    return [os.environ.get("PEERS_PYTHON", sys.executable), str(script), str(best_version(models)), str(PORT)]


SERVERS = {"ours": ours, "KServe": kserve, "LitServe": litserve}


async def _client(path, until, latencies, failures, generator):
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    while time.perf_counter() < until:
        body = json.dumps({"instances": [generator.choice(DATES)]}).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        begin = time.perf_counter()
        writer.write(head.encode() + b"\r\n\r\n" + body)
        header = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in header.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - begin)
        if not header.startswith(b"HTTP/1.1 200"):
            failures.append(header)
    writer.close()


async def load(path, clients, seconds):
    """Requests a second, and the latencies in ms."""
    latencies, failures, generator = [], [], random.Random(0)
    begin = time.perf_counter()
    await asyncio.gather(
        *(_client(path, begin + seconds, latencies, failures, generator) for _ in range(clients))
    )  # fmt: skip
    elapsed = time.perf_counter() - begin
    latencies.sort()
    return {
        "requests_per_s": len(latencies) / elapsed,
        "p50_ms": 1000 * statistics.median(latencies),
        "p99_ms": 1000 * latencies[int(0.99 * (len(latencies) - 1))],
        "failures": len(failures),
    }


def contest(name, models):
    """Starts a server, loads it with each number of clients, stops it."""
    command, path, ready = SERVERS[name](models)
    process, seconds = start(command, ready)
    try:
        asyncio.run(load(path, 8, 2.0))
        row = {f"{clients} clients": asyncio.run(load(path, clients, SECONDS)) for clients in CLIENTS}
        return row | {"ready_s": seconds, "memory_gb": memory(process.pid)}
    finally:
        stop(process)


def start(command, ready):
    """A server that answers, and the seconds that took."""
    with socket.socket() as probe:
        if not probe.connect_ex(("127.0.0.1", PORT)):
            raise SystemExit(f"port {PORT} is in use, perhaps by a server of a run that was killed")
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=ROOT, start_new_session=True
    )
    while True:
        try:
            if urllib.request.urlopen(f"http://127.0.0.1:{PORT}{ready}", timeout=5).status == 200:
                return process, time.perf_counter() - begin
        except OSError:
            if process.poll() is not None:
                raise SystemExit(f"{command} ended with {process.returncode}") from None
            if time.perf_counter() - begin > 120:
                raise
        time.sleep(0.05)


def stop(process):
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    time.sleep(1.0)


def memory(pid):
    """Resident memory of a process, in GB."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / 1e9


def direct(models):
    """The median of direct calls in a process of their own, in ms."""
    script = f"""
import random, statistics, time
import tensorflow as tf, tensorflow_text
convert = tf.saved_model.load({str(best_version(models))!r}).signatures["serving_default"]
dates, seconds = {DATES!r}, []
for date in random.Random(0).choices(dates, k=600):
    begin = time.perf_counter()
    {{name: tensor.numpy() for name, tensor in convert(text=tf.constant([date])).items()}}
    seconds.append(time.perf_counter() - begin)
print(1000 * statistics.median(seconds[100:]))
"""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    return float(run.stdout)


def date(text):
    """The ISO date of one of `DATES`: `"3 May 1979"` is `"1979-05-03"`."""
    return datetime.datetime.strptime(text, "%d %B %Y").date().isoformat()


def predicted(answer):
    """The texts of an answer's rows."""
    return [row["text"] for row in json.loads(answer)["predictions"]]


def renew(folder):
    """Puts the best version of a model's folder beside itself as the next one, as an export does."""
    best = max(int(path.name) for path in folder.iterdir() if path.name.isdecimal())
    shutil.copytree(folder / str(best), folder.parent / ".next")
    (folder.parent / ".next").rename(folder / str(best + 1))


def soak(models, minutes):
    """Mixed load, a third of it hostile, with version changes, on a copy of the model."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        shutil.copytree(best_version(models), copy / "date_converter" / "1")
        _soak(copy, minutes)


def _soak(models, minutes):
    """Every status must be the right one, and every answer the model's own. Plots the memory."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path = "/v1/models/date_converter:predict"
    good = [json.dumps({"instances": DATES[:rows]}).encode() for rows in (1, 2, 7, 64)]
    hostile = [
        (path, b"{", 400),
        (path, b'{"instances": []}', 400),
        (path, b'{"instances": [1, "a"]}', 400),
        (path, b'{"instances": ["a"], "signature_name": "x"}', 400),
        (path, json.dumps({"instances": ["9" * 100_000]}).encode(), 400),
        (path, json.dumps({"instances": ["9"] * 5000}).encode(), 400),
        (path, b" " * 2_000_000, 413),
        ("/v1/models/..%2f..%2fetc:predict", b"{}", 404),
        ("/v1/models/nope:predict", b"{}", 404),
        (path, json.dumps({"instances": [{"b64": base64.b64encode(b"\xff\xfe\0").decode()}]}).encode(), 200),
        (path, json.dumps({"instances": ["\0", "9" * 5000]}).encode(), 200),
    ]
    process, _ = start(*(ours(models)[index] for index in (0, 2)))
    texts = {body: [date(text) for text in json.loads(body)["instances"]] for body in good}
    generator, counts, wrong, points = random.Random(0), {}, [], []

    async def client(until):
        while time.perf_counter() < until:
            place, body, expected = (path, generator.choice(good), 200)
            if generator.random() < 1 / 3:
                place, body, expected = generator.choice(hostile)
            hangs_up = generator.random() < 0.02
            await asyncio.sleep(0.05)
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
                head = f"POST {place} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                writer.write(
                    f"{head}Content-Length: {len(body)}\r\n\r\n".encode()
                    + (body[: len(body) // 2] if hangs_up else body)
                )
                if not hangs_up:
                    head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
                    status = int(head.split(b" ", 2)[1])
                    counts[status] = counts.get(status, 0) + 1
                    if status != expected or (body in texts and predicted(answer) != texts[body]):
                        wrong.append((place, body[:60].decode("latin-1"), expected, status, answer[:200].decode()))
                writer.close()
            except (ConnectionError, IndexError):
                if expected != 413:  # where the server may hang up before all was sent
                    wrong.append((place, body[:60].decode("latin-1"), expected, "connection"))

    async def watch(until):
        begin = time.perf_counter()
        while time.perf_counter() < until:
            points.append(((time.perf_counter() - begin) / 60, memory(process.pid)))
            await asyncio.sleep(2.0)

    async def change():
        for _ in range(CHANGES):
            await asyncio.sleep(60 * minutes / (CHANGES + 1))
            await asyncio.to_thread(renew, models / "date_converter")

    async def run():
        until = time.perf_counter() + 60 * minutes
        await asyncio.gather(watch(until), change(), *(client(until) for _ in range(8)))

    try:
        asyncio.run(run())
        states = json.load(urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v1/models/date_converter"))
    finally:
        stop(process)
    answering = max(int(row["version"]) for row in states["model_version_status"] if row["state"] == "AVAILABLE")
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    axes.plot(*zip(*points, strict=True))
    axes.set(xlabel="minutes of mixed load", ylabel="resident memory, GB", ylim=(0, None))
    figure.savefig(ROOT / "docs/images/serving_memory.png", dpi=120)
    later = [gigabytes for minute, gigabytes in points if minute > minutes / 6]
    figures = {
        "minutes": minutes, "version_changes": answering - 1,
        "answers": counts, "wrong": len(wrong), "first_wrong": wrong[:5],
        "memory_gb_after_a_sixth": later[0], "memory_gb_at_the_end": later[-1], "memory_gb_highest": max(later),
    }  # fmt: skip
    print(figures)
    save("serving_soak", f"python benchmarks/serving.py --soak {minutes:g}", figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="?", type=pathlib.Path, default=ROOT / "saved_models")
    parser.add_argument("--only", choices=SERVERS, help="one server, not all")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="mixed load on ours instead")
    options = parser.parse_args()
    models = options.models.resolve()
    if options.soak:
        soak(models, options.soak)
        return
    median = direct(models)
    print(f"direct call, median: {median:.2f} ms", flush=True)
    figures = {"direct_p50_ms": median}
    for name in [options.only] if options.only else SERVERS:
        rows = [contest(name, models) for _ in range(1 if options.only else ROUNDS)]
        best = max(rows, key=lambda row: row["32 clients"]["requests_per_s"])
        figures[name] = best
        for clients in CLIENTS:
            row = best[f"{clients} clients"]
            print(
                f"{name:9} {clients:2} clients {row['requests_per_s']:7.0f}/s  p50 {row['p50_ms']:6.2f} ms  "
                f"p99 {row['p99_ms']:6.2f} ms  {row['failures']} failures", flush=True,
            )  # fmt: skip
        print(f"{name:9} ready in {best['ready_s']:.1f} s, {best['memory_gb']:.2f} GB", flush=True)
    if options.only:
        return
    for peer, goal in GOALS.items():
        mine, theirs = figures["ours"]["32 clients"], figures[peer]["32 clients"]
        figures[f"throughput of {peer}"] = ratio = mine["requests_per_s"] / theirs["requests_per_s"]
        print(f"{ratio:.2f} x {peer} (goal {goal}); p99 {mine['p99_ms']:.1f} against {theirs['p99_ms']:.1f} ms")
    single = figures["ours"]["1 clients"]["p50_ms"]
    print(f"one client: p50 {single:.2f} ms; 1.3 x direct + 2 ms is {1.3 * median + 2:.2f} ms")
    save("serving", "python benchmarks/serving.py", figures)


if __name__ == "__main__":
    main()
