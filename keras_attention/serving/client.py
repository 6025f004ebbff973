"""A client of TensorFlow Serving, KServe's TensorFlow runtime, and `keras-attention serve`, over REST or gRPC.

The three speak one protocol, so there is one client. It needs neither
TensorFlow nor a model for REST; gRPC needs `tensorflow-serving-api`.
"""

import base64
import json
import pathlib
import ssl
import time
import urllib.error
import urllib.request
from urllib.parse import quote

import numpy as np

from keras_attention.conversion import conversions_from

_AGAIN = (502, 503, 504)  # nothing was computed; a prediction changes nothing, so it can be asked once more


class ServerError(RuntimeError):
    """The server refused, or could not be reached.

    Attributes:
        status: HTTP status, or gRPC status code; None if there was no answer.
    """

    def __init__(self, message, status=None):
        super().__init__(message)
        self.status = status


class RestClient:
    """Asks over REST.

    Args:
        url: URL of the server, such as `http://localhost:8501`.
        model: name of the model.
        version: version of the model; None for the newest.
        token: sent as a bearer token, if given.
        timeout: seconds to wait for an answer.
        retries: how often to ask again after a refusal for want of room, or a
            connection that broke.
        label: label of a version, instead of its number.
        certificate: file of the certificate that the server's must be signed
            by; None for those that the system trusts.

    Call args:
        texts: a string or a list of strings.

    Returns:
        A `Conversion` for one string, a list of them for several.

    Raises:
        ServerError: with the server's message.
    """

    def __init__(self, url, model, version=None, token=None, timeout=60.0, retries=3, label=None, certificate=None):
        self.url = url.rstrip("/")
        self.model = model
        self.version = version
        self.token = token
        self.timeout = timeout
        self.retries = retries
        self.label = label
        self._context = ssl.create_default_context(cafile=certificate) if url.startswith("https:") else None

    def __call__(self, texts):
        listed = [texts] if isinstance(texts, (str, bytes)) else list(texts)
        outputs = self.predict({"text": np.array([_as_bytes(text) for text in listed], object)})
        # JSON has no axis behind one of length zero, as an answer without tokens gives it.
        sizes = (*outputs["tokens"].shape, outputs["source_tokens"].shape[1])
        outputs["weights"] = np.reshape(outputs["weights"], sizes)
        conversions = conversions_from(outputs)
        return conversions[0] if isinstance(texts, (str, bytes)) else conversions

    def predict(self, inputs: dict, signature_name: str = "serving_default") -> dict:
        """Asks for tensors.

        Args:
            inputs: arrays by name; strings are bytes.
            signature_name: one of the model's signatures.

        Returns:
            Dict of arrays; strings are bytes.
        """
        columns = {name: _listed(np.asarray(array)) for name, array in inputs.items()}
        outputs = self._ask(":predict", {"signature_name": signature_name, "inputs": columns})["outputs"]
        if not isinstance(outputs, dict):
            outputs = {"output": outputs}
        return {name: _array(values) for name, values in outputs.items()}

    def status(self) -> list:
        """The server's word on the model's versions: a list of dicts."""
        return self._ask("")["model_version_status"]

    def metadata(self) -> dict:
        """The server's description of the signatures: a dict."""
        return self._ask("/metadata")["metadata"]

    def _ask(self, what, content=None):
        place = "" if self.version is None else f"/versions/{self.version}"
        if self.label is not None:
            place += f"/labels/{quote(self.label, safe='')}"
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(
            f"{self.url}/v1/models/{quote(self.model, safe='')}{place}{what}", data, headers
        )
        for attempt in range(self.retries + 1):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout, context=self._context) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                failure = ServerError(_message_of(error), error.code)
                if error.code not in _AGAIN:
                    raise failure from None
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                failure = ServerError(f"{self.url} did not answer: {error}")
            if attempt < self.retries:
                time.sleep(0.1 * 2**attempt)
        raise failure


class GrpcClient:
    """Asks over gRPC; the same calls as `RestClient`.

    Args:
        target: address of the server, such as `localhost:8500`.
        model: name of the model.
        version: version of the model; None for the newest.
        token: sent as a bearer token, if given.
        timeout: seconds to wait for an answer.
        label: label of a version, instead of its number.
        certificate: file of the certificate that the server's must be signed
            by; None for a server without TLS.
    """

    def __init__(self, target, model, version=None, token=None, timeout=60.0, label=None, certificate=None):
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self.model = model
        self.version = version
        self.timeout = timeout
        self.label = label
        self._metadata = [] if token is None else [("authorization", f"Bearer {token}")]
        if certificate is None:
            self._channel = grpc.insecure_channel(target)
        else:
            credentials = grpc.ssl_channel_credentials(pathlib.Path(certificate).read_bytes())
            self._channel = grpc.secure_channel(target, credentials)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    __call__ = RestClient.__call__

    def predict(self, inputs: dict, signature_name: str = "serving_default") -> dict:
        """Asks for tensors; see `RestClient.predict`."""
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature_name
        if self.version is not None:
            request.model_spec.version.value = self.version
        if self.label is not None:
            request.model_spec.version_label = self.label
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        try:
            response = self._stub.Predict(request, self.timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise ServerError(error.details(), error.code().name) from None
        return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}

    def close(self) -> None:
        """Hangs up."""
        self._channel.close()


def _as_bytes(text):
    return text.encode("utf-8") if isinstance(text, str) else text


def _listed(array):
    """Nested lists for JSON: text where the bytes are text, else base64."""
    if array.dtype.kind not in "OS":
        return array.tolist()
    return _map(_json_text, array.tolist())


def _json_text(value):
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _array(values):
    """What JSON gave, as an array; `null` is a number that is not finite, of which these models know one."""
    first = values
    while isinstance(first, list) and first:
        first = first[0]
    if isinstance(first, (str, dict)):
        return np.array(_map(_from_json_text, values), object)
    if isinstance(first, list):  # no element anywhere: tokens of an empty answer
        return np.array(values, object)
    return np.array(_map(lambda value: -np.inf if value is None else value, values))


def _from_json_text(value):
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode("utf-8")


def _map(function, values):
    return [_map(function, value) for value in values] if isinstance(values, list) else function(values)


def _message_of(error):
    body = error.read()
    try:
        return json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}: {body[:200].decode('utf-8', 'replace')}"
