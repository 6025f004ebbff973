"""KServe's own clients, in a process of their own: their messages have the names of those of Triton's client.

Their Python is this one, or that in `PEERS_PYTHON`, as for `benchmarks/serving.py`.
"""

import os
import subprocess
import sys

import pytest

from .conftest import listening

PYTHON = os.environ.get("PEERS_PYTHON", sys.executable)
PROGRAM = """
import asyncio, sys
import numpy as np
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig

def request(binary):
    inputs = []
    for name, values in (("x", [[1, 2]]), ("y", [[3, 4]])):
        inputs.append(InferInput(name, [1, 2], "FP32"))
        inputs[-1].set_data_from_numpy(np.array(values, "float32"), binary_data=binary)
    return InferRequest("sums", inputs, request_id="7")

def texts(binary):
    text = InferInput("text", [2], "BYTES")
    text.set_data_from_numpy(np.array([b"9", "97 é".encode()], object), binary_data=binary)
    return InferRequest("dates", [text])

async def main(url, target):
    rest, grpc = InferenceRESTClient(RESTConfig(protocol="v2")), InferenceGRPCClient(target)
    assert await rest.is_server_live(url) and await rest.is_server_ready(url) and await rest.is_model_ready(url, "sums")
    assert await grpc.is_server_live() and await grpc.is_server_ready() and await grpc.is_model_ready("sums")
    for binary in (False, True):
        for infer in (
            lambda request: rest.infer(url, request, model_name=request.model_name),
            lambda request: grpc.infer(request),
        ):
            answer = await infer(request(binary))
            assert answer.id == "7" and [output.as_numpy().tolist() for output in answer.outputs] == [[[4.0, 6.0]]]
            outputs = {output.name: output.as_numpy() for output in (await infer(texts(binary))).outputs}
            assert outputs["source_tokens"].shape == (2, 4), outputs
    await grpc.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def has_kserve():
    finds = "import importlib.util, sys; sys.exit(importlib.util.find_spec('kserve') is None)"
    if subprocess.run([PYTHON, "-c", finds], check=False).returncode:
        pytest.skip("kserve is missing in this Python and in PEERS_PYTHON")


def test_kserve_s_own_clients_are_answered_over_http_and_grpc(has_kserve, server):
    with listening(server) as target:
        command = [PYTHON, "-c", PROGRAM, f"http://127.0.0.1:{server.port}", target]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert run.returncode == 0, run.stderr
