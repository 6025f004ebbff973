"""A person's terminal: commands in a folder of its own, each in a process of its own."""

import contextlib
import os
import pathlib
import shlex
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.serving.conftest import wait_until

ROOT = pathlib.Path(__file__).parents[2]


class Terminal:
    """Runs the lines that a person would type, and keeps them."""

    def __init__(self, folder):
        self.folder = folder
        self.commands = []

    def start(self, command):
        self.commands.append(command)
        program, *arguments = shlex.split(command)
        begin = [sys.executable, "-m", "keras_attention"] if program == "keras-attention" else [sys.executable]
        environment = os.environ | {"PYTHONPATH": os.fspath(ROOT), "PYTHONSAFEPATH": "1", "MPLBACKEND": "Agg"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([*begin, *arguments], cwd=self.folder, env=environment, **pipes)

    def run(self, command):
        """What a command printed; it must end well."""
        process = self.start(command)
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
        return printed

    @contextlib.contextmanager
    def serving(self, command):
        """Runs a server until the end of the block, on a free port: its address."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
        process = self.start(f"{command} --port {address.rpartition(':')[2]}")
        self.commands[-1] = command  # the port is the test's
        try:
            wait_until(lambda: process.poll() is None and _is_there(f"{address}/readyz"))
            yield address
        finally:
            process.kill()
            process.communicate()


def _is_there(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.HTTPError):
        return False


@pytest.fixture
def terminal(tmp_path):
    return Terminal(tmp_path)
