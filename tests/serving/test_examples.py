"""The examples ask a server."""

import pathlib
import subprocess
import sys

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples/serving"


def run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_curl(server):
    printed = run("sh", EXAMPLES / "ask.sh", f"http://127.0.0.1:{server.port}/v1/models/dates")
    assert '"predictions"' in printed
    assert '"outputs"' in printed
    assert '"state":"AVAILABLE"' in printed
    assert '"error"' in printed


def test_python_client(server):
    printed = run(
        sys.executable, EXAMPLES / "ask.py", "9", "--model", "dates", "--url", f"http://127.0.0.1:{server.port}"
    )
    assert printed.startswith("9 -> ")


def test_load_test(server):
    url = f"http://127.0.0.1:{server.port}"
    printed = run(
        sys.executable, EXAMPLES / "load_test.py", "--model", "dates", "--url", url, "--seconds", "0.5", "--text", "9"
    )
    assert "requests a second from 32 clients" in printed
