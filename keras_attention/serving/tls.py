"""The certificate of a server that speaks TLS."""

import pathlib
import ssl
from typing import NamedTuple


class Tls(NamedTuple):
    """Files in PEM format.

    Attributes:
        certificate: file of the server's certificate, with those between it and
            the authority's.
        key: file of its private key, which no password protects.
    """

    certificate: str
    key: str

    def read(self):
        """The private key and the certificate, bytes."""
        return pathlib.Path(self.key).read_bytes(), pathlib.Path(self.certificate).read_bytes()


def read_tls(certificate, key):
    """The `Tls` of two files, looked at; None without them.

    Raises:
        OSError: if one cannot be read.
        ValueError: if only one is given, or they do not belong together.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ValueError("TLS needs both files: --certificate FILE --key FILE.")
    tls = Tls(certificate, key)
    tls.read()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        raise ValueError(f"{certificate} and {key} are no certificate and its key, in PEM format: {error}") from None
    return tls


def _no_password():
    raise ValueError("The private key must not be protected by a password: nobody is there to type it.")
