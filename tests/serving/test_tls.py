"""TLS by files, over REST and gRPC."""

import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from keras_attention.serving.client import GrpcClient, RestClient, ServerError
from keras_attention.serving.tls import Tls, read_tls

from .conftest import listening, running

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes certificates, is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A certificate of this machine that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    return make(folder / "certificate.pem", folder / "key.pem", "-nodes")


def make(certificate, key, *options):
    subprocess.run(
        [
            *(OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", certificate, "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *options),
        ],
        check=True,
        capture_output=True,
    )
    return Tls(str(certificate), str(key))


def test_clients_that_trust_the_certificate_are_answered(models, made):
    with running(models, tls=read_tls(*made)) as server, listening(server, tls=made) as target:
        rest = RestClient(f"https://127.0.0.1:{server.port}", "dates", certificate=made.certificate)
        grpc = GrpcClient(target, "dates", certificate=made.certificate)
        assert rest("9").source_tokens == grpc("9").source_tokens == ["9"]
        grpc.close()
        with pytest.raises(ServerError, match="certificate verify failed"):
            RestClient(f"https://127.0.0.1:{server.port}", "dates", retries=0)("9")
        with pytest.raises(ServerError, match="did not answer"):
            RestClient(f"http://127.0.0.1:{server.port}", "dates", retries=0)("9")
        grpc = GrpcClient(target, "dates", timeout=10)
        with pytest.raises(ServerError):
            grpc("9")
        grpc.close()


def test_who_speaks_no_tls_is_sent_away(models, made):
    with running(models, tls=made) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert not client.recv(65_536).startswith(b"HTTP")
        assert RestClient(f"https://127.0.0.1:{server.port}", "dates", certificate=made.certificate)("9")


def test_files_that_do_not_belong_together_are_refused(made, tmp_path):
    other = make(tmp_path / "certificate.pem", tmp_path / "key.pem", "-nodes")
    with pytest.raises(ValueError, match="are no certificate and its key"):
        read_tls(made.certificate, other.key)
    with pytest.raises(ValueError, match="are no certificate and its key"):
        read_tls(made.key, made.certificate)
    with pytest.raises(ValueError, match="needs both files"):
        read_tls(made.certificate, None)
    with pytest.raises(FileNotFoundError):
        read_tls(made.certificate, os.fspath(tmp_path / "nothing"))
    assert read_tls(None, None) is None


def test_a_key_with_a_password_is_refused_at_once(tmp_path):
    locked = make(tmp_path / "certificate.pem", tmp_path / "key.pem", "-passout", "pass:secret")
    with pytest.raises(ValueError, match="must not be protected by a password"):
        read_tls(*locked)
