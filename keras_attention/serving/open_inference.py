"""The open inference protocol of KServe and Triton: requests to arrays, arrays to answers.

    {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["9"]}]}

Tensors may also lie behind the JSON as bytes, as Triton's client sends them and
asks for them.

Reference: https://kserve.github.io/open-inference-protocol/
"""

import math
from typing import NamedTuple

import numpy as np

import keras_attention
from keras_attention.serving import tensors
from keras_attention.serving.errors import RequestError
from keras_attention.serving.signatures import DEFAULT, are_inputs, signature_of

DATATYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "float16": "FP16", "bfloat16": "BF16", "float32": "FP32", "float64": "FP64",
    "string": "BYTES", "object": "BYTES",
}  # fmt: skip

SERVER = {"name": "keras-attention", "version": keras_attention.__version__, "extensions": ["binary_tensor_data"]}


class InferAnswer(NamedTuple):
    """The body of an answer.

    Attributes:
        body: bytes.
        json_size: bytes of JSON, behind which tensors lie; None if it is JSON
            alone.
    """

    body: bytes
    json_size: int | None


class InferRequest(NamedTuple):
    """What a client asks.

    Attributes:
        signature_name: one of the model's signatures.
        inputs: arrays by name.
        outputs: whether an output that is wanted is to be sent as bytes, by
            name; empty for all outputs.
        id: to be sent back, or None.
        as_bytes: whether to send outputs as bytes that say nothing else.
    """

    signature_name: str
    inputs: dict
    outputs: dict
    id: str | None
    as_bytes: bool = False

    def format_answer(self, outputs, servable):
        """The `InferAnswer`.

        Raises:
            RequestError: 400 for an output that there is not, or that has no
                datatype of the tensors.
        """
        answer = {"model_name": servable.name, "model_version": str(servable.version)}
        if self.id is not None:
            answer["id"] = self.id
        described, behind = [], []
        for name, array in wanted_outputs(outputs, self.outputs).items():
            tensor = described_array(name, array)
            if self.outputs.get(name, self.as_bytes):
                behind.append(to_bytes(array))
                tensor["parameters"] = {"binary_data_size": len(behind[-1])}
            else:
                tensor["data"] = tensors.json_values("", array.reshape(-1))
            described.append(tensor)
        head = tensors.dump(answer | {"outputs": described})
        return InferAnswer(b"".join([head, *behind]), len(head) if behind else None)


def parse_request(body, signatures, json_size=None):
    """Reads the body of an `infer`.

    Args:
        body: bytes of JSON, and perhaps of tensors behind it.
        signatures: dict of names to dicts of input names to `TensorSpec`.
        json_size: bytes of JSON; None for all.

    Returns:
        An `InferRequest`.

    Raises:
        RequestError: 400, if there is anything wrong with it.
    """
    if json_size is not None and json_size > len(body):
        raise RequestError(400, f"The body must have at least the {json_size} bytes of JSON that its header tells of.")
    content = tensors.load(body[:json_size])
    _must_be(content, dict, "The request")
    parameters = _must_be(content.get("parameters", {}), dict, "'parameters'")
    name = parameters.get("signature_name", DEFAULT)
    specs = signature_of(name, signatures)
    inputs = _inputs(content, specs, memoryview(body)[len(body) if json_size is None else json_size :])
    identity = content.get("id")
    if identity is not None:
        _must_be(identity, str, "'id'")
    as_bytes = _must_be(parameters.get("binary_data_output", False), bool, "'binary_data_output'")
    return InferRequest(name, inputs, _wanted(content, as_bytes), identity, as_bytes)


def describe_model(servable, versions):
    """The metadata of a model, a dict.

    Args:
        servable: servable of the version that is asked for.
        versions: numbers of those that can be asked.
    """
    signatures = servable.signatures
    signature = signatures.get(DEFAULT) or signatures[min(signatures)]
    return {
        "name": servable.name,
        "versions": [str(version) for version in versions],
        "platform": "tensorflow_savedmodel",
        "inputs": [_described(name, spec) for name, spec in signature.inputs.items()],
        "outputs": [_described(name, spec) for name, spec in signature.outputs.items()],
    }


def _inputs(content, specs, behind):
    """The arrays of a request by name."""
    inputs = {}
    for tensor in _list_of(content, "inputs"):
        name = _must_be(_field(tensor, "name"), str, "'name' of an input")
        if name in inputs or name not in specs:
            known = ", ".join(specs)
            raise RequestError(400, f"There must be one input of each name: {known}. Received '{name[:100]}'.")
        size = _must_be(tensor.get("parameters", {}), dict, "'parameters'").get("binary_data_size")
        if size is None:
            inputs[name] = _from_json(name, tensor, specs[name])
        else:
            if not _is_count(size) or size > len(behind):
                raise RequestError(400, f"'binary_data_size' of input '{name}' must be at most {len(behind)}.")
            inputs[name], behind = from_bytes(name, tensor, specs[name], behind[:size]), behind[size:]
    if len(behind):
        raise RequestError(400, f"There are {len(behind)} bytes behind the last input.")
    check_inputs(inputs, specs)
    return inputs


def check_inputs(names, specs):
    """Raises `RequestError`, 400, for an input that is missing."""
    if not are_inputs(names, specs):
        raise RequestError(400, f"'inputs' must have {', '.join(specs)}. Received {', '.join(names) or 'nothing'}.")


def _wanted(content, as_bytes):
    """Whether the outputs that are asked for are to be bytes, by name, each once: an answer grows with them."""
    wanted = {}
    for output in _list_of(content, "outputs", []):
        name = _must_be(_field(output, "name"), str, "'name' of an output")
        if name in wanted:
            raise RequestError(400, f"'outputs' names '{name[:100]}' twice.")
        parameters = _must_be(output.get("parameters", {}), dict, "'parameters'")
        wanted[name] = _must_be(parameters.get("binary_data", as_bytes), bool, "'binary_data'")
    return wanted


def wanted_outputs(outputs, names):
    """The outputs of these names, or all.

    Raises:
        RequestError: 400 for a name that there is not.
    """
    unknown = [name for name in names if name not in outputs]
    if unknown:
        known = ", ".join(outputs)
        raise RequestError(400, f"There is no output '{unknown[0][:100]}' in the signature. There are: {known}.")
    return {name: outputs[name] for name in names} if names else outputs


def _from_json(name, tensor, spec):
    shape = shape_of(name, tensor, spec)
    data = _must_be(_field(tensor, "data"), list, f"'data' of input '{name}'")
    nested = tensors.nested_shape(name, data)  # that of the tensor, or a flat list
    if nested != shape:
        check_count(name, shape, len(data))
    return tensors.filled_array(tensors.flattened(data, len(nested)), shape, spec)


def from_bytes(name, tensor, spec, data):
    """The array of an input that came as bytes.

    Args:
        name: name of the input.
        tensor: dict with its `shape` and `datatype`.
        spec: `TensorSpec` of the signature.
        data: memoryview of the bytes.
    """
    shape = shape_of(name, tensor, spec)
    if spec.dtype == "string":
        texts = _split(name, data)
        check_count(name, shape, len(texts))
        array = np.empty(len(texts), object)
        array[:] = texts
    else:
        dtype = np.dtype(spec.dtype).newbyteorder("<")
        if len(data) % dtype.itemsize:
            raise RequestError(400, f"input '{name}' has {len(data)} bytes, but each number has {dtype.itemsize}.")
        array = np.frombuffer(data, dtype)
        check_count(name, shape, array.size)
    return array.reshape(shape)


def to_bytes(array):
    """The bytes of an array, row by row; a string behind its length in four bytes."""
    if array.dtype == object:
        return b"".join(len(text).to_bytes(4, "little") + text for text in array.reshape(-1))
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _split(name, data):
    """The strings of a tensor, before each of which its length stands in four bytes."""
    texts, begin = [], 0
    while begin < len(data):
        end = begin + 4 + int.from_bytes(data[begin : begin + 4], "little")
        if end > len(data):
            raise RequestError(400, f"input '{name}' ends within a string.")
        texts.append(bytes(data[begin + 4 : end]))
        begin = end
    return texts


def shape_of(name, tensor, spec):
    """The shape of an input, which is looked at before anything is made of it."""
    shape = _field(tensor, "shape")
    if not isinstance(shape, list) or len(shape) > tensors.DEEPEST or not all(map(_is_count, shape)):
        raise RequestError(400, f"'shape' of input '{name}' must be a list of at most {tensors.DEEPEST} sizes.")
    datatype = _field(tensor, "datatype")
    if datatype != DATATYPES.get(spec.dtype):
        raise RequestError(
            400, f"'datatype' of input '{name}' must be {DATATYPES.get(spec.dtype, spec.dtype)}. "
            f"Received {str(datatype)[:100]}.",
        )  # fmt: skip
    tensors.check_shape(name, tuple(shape), spec)
    return tuple(shape)


def check_count(name, shape, count):
    """Raises `RequestError`, 400, for other elements than a shape has."""
    if math.prod(shape) != count:
        raise RequestError(400, f"input '{name}' must have {math.prod(shape)} elements, as {list(shape)} says. "
                                f"Received {count}.")  # fmt: skip


def described_array(name, array):
    """Name, datatype and shape of an output, a dict."""
    if array.dtype.name not in DATATYPES:
        raise RequestError(400, f"output '{name}' is {array.dtype.name}, for which the protocol has no datatype.")
    return {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": list(array.shape)}


def _described(name, spec):
    shape = [-1] if spec.shape is None else [-1 if size is None else size for size in spec.shape]
    return {"name": name, "datatype": DATATYPES.get(spec.dtype, spec.dtype.upper()), "shape": shape}


def _list_of(content, key, default=None):
    """The objects in a list of the request."""
    found = _field(content, key) if default is None else content.get(key, default)
    _must_be(found, list, f"'{key}'")
    return [_must_be(one, dict, f"Each of '{key}'") for one in found]


def _field(content, key):
    if key not in content:
        raise RequestError(400, f"Missing '{key}' key")
    return content[key]


def _must_be(value, kind, what):
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    if not isinstance(value, kind):
        raise RequestError(400, f"{what} must be {names[kind]}. Received {tensors.kind_of(value)}.")
    return value


def _is_count(size):
    return isinstance(size, int) and not isinstance(size, bool) and size >= 0
