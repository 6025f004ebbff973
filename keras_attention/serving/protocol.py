"""TensorFlow Serving's REST protocol: JSON to arrays and back, and what an error looks like.

Rows, `{"instances": [...]}`, are answered with `{"predictions": [...]}`;
columns, `{"inputs": ...}`, with `{"outputs": ...}`. Bytes are
`{"b64": "..."}`. Nothing here knows a model, a thread or a socket.

Reference: https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import binascii
import json
from typing import Any, NamedTuple

import numpy as np
import orjson

_DEEPEST = 32  # levels of a list; numpy has no arrays beyond


class RequestError(Exception):
    """A request that cannot be answered.

    Attributes:
        status: HTTP status.
        message: what was wrong with it.
    """

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


class TensorSpec(NamedTuple):
    """An input or output of a signature.

    Attributes:
        dtype: name of a numpy type, or `"string"`.
        shape: sizes, None where any will do; None if even the rank is open.
        default: an array of one row, which each row is where a request leaves
            the input out; None if it must not.
        is_firm: whether an input must have the shape. Others are given to the
            model as they come, which may take more than its signature says.
    """

    dtype: str
    shape: Any
    default: Any = None
    is_firm: bool = True

    def refuses(self, shape):
        """Whether an array of this shape must not be given to the model."""
        return self.is_firm and not self.accepts(shape)

    def accepts(self, shape):
        """Whether an array of this shape is what the signature says."""
        return self.shape is None or (
            len(shape) == len(self.shape)
            and all(wanted in (None, size) for wanted, size in zip(self.shape, shape, strict=True))
        )


class PredictRequest(NamedTuple):
    """What a client asks.

    Attributes:
        signature_name: one of the model's signatures.
        inputs: arrays by name.
        by_row: whether the answer is to have rows.
    """

    signature_name: str
    inputs: dict
    by_row: bool


def parse_request(body, signatures):
    """Reads the body of a `:predict`.

    Args:
        body: bytes of JSON.
        signatures: dict of names to dicts of input names to `TensorSpec`.

    Raises:
        RequestError: 400, if there is anything wrong with it.
    """
    content = _loaded(body)
    if not isinstance(content, dict):
        raise RequestError(400, f"JSON must be an object. Received {_kind(content)}.")
    name = content.get("signature_name") or "serving_default"
    if not isinstance(name, str) or name not in signatures:
        known = ", ".join(sorted(signatures))
        raise RequestError(400, f'Serving signature name: "{name}" not found in signature def. There are: {known}.')
    present = [key for key in ("instances", "inputs") if key in content]
    if not present:
        raise RequestError(400, "Missing 'inputs' or 'instances' key")
    if len(present) == 2:
        raise RequestError(400, "Not formatted correctly: expected one of 'inputs' and 'instances', received both")
    specs = signatures[name]
    by_row = present == ["instances"]
    columns = _columns_of_rows(content["instances"], specs) if by_row else _columns(content["inputs"], specs)
    return PredictRequest(name, {key: to_array(key, columns[key], specs[key]) for key in columns}, by_row)


def to_array(name, values, spec):
    """Nested lists as an array of a dtype and shape.

    Raises:
        RequestError: 400, if they are no such array.
    """
    shape = _shape(name, values)
    if spec.refuses(shape):
        wanted = tuple("any" if size is None else size for size in spec.shape)
        raise RequestError(400, f"input '{name}' must have shape {_show(wanted)}. Received shape {_show(shape)}.")
    flat = [values]
    for _ in shape:
        flat = [value for row in flat for value in row]
    convert = _as_bytes if spec.dtype == "string" else _as_bool if spec.dtype == "bool" else _as_number
    array = np.empty(len(flat), object if spec.dtype == "string" else spec.dtype)
    for index, value in enumerate(flat):
        try:
            array[index] = convert(value, array.dtype)
        except (TypeError, ValueError, OverflowError):
            raise RequestError(
                400, f"JSON Value: {_short(value)} Type: {_kind(value)} is not of expected type: {spec.dtype}"
            ) from None
    return array.reshape(shape)


def format_answer(outputs, by_row):
    """The body that answers a `:predict`.

    Args:
        outputs: dict of names to arrays; strings are bytes. Those whose name
            ends with `_bytes` become `{"b64": ...}`, the others text.
        by_row: whether the request had rows.

    Returns:
        bytes of JSON. A number that is not finite becomes `null`, which JSON has.

    Raises:
        RequestError: 400, if the outputs have no row for each row of the request.
    """
    values = {name: _values(name, array) for name, array in outputs.items()}
    if not by_row:
        return dump({"outputs": next(iter(values.values())) if len(values) == 1 else values})
    lengths = {np.ndim(array) and len(array) for array in outputs.values()}
    if len(lengths) != 1 or 0 in {np.ndim(array) for array in outputs.values()}:
        raise RequestError(
            400, "The outputs of this signature have no common batch axis. Ask with 'inputs' instead of 'instances'."
        )
    if len(values) == 1:
        return dump({"predictions": next(iter(values.values()))})
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return dump({"predictions": rows})


def format_error(message):
    """The body of an error."""
    return dump({"error": message})


def required_of(specs):
    """Names of the inputs that a request must have."""
    return [name for name, spec in specs.items() if spec.default is None]


def are_inputs(names, specs):
    """Whether names are those of all inputs that must be there, and of no others than there are."""
    return set(required_of(specs)) <= set(names) <= set(specs)


def _loaded(body):
    """The content of JSON, with `NaN`, `Infinity` and `-Infinity` among its numbers, as for TensorFlow Serving."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        refused = RequestError(400, f"JSON Parse error: {error}")
    if b"NaN" not in body and b"Infinity" not in body:
        raise refused
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise refused from None


def _columns_of_rows(instances, specs):
    """Lists of values by input name."""
    if not isinstance(instances, list):
        raise RequestError(400, f"'instances' must be a list. Received {_kind(instances)}.")
    if not instances:
        raise RequestError(400, "'instances' must hold at least one instance")
    named = isinstance(instances[0], dict) and not _is_b64(instances[0])
    if not named:
        if len(required_of(specs)) != 1:
            raise RequestError(
                400, f"The signature has several inputs, so each instance must be an object of: {', '.join(specs)}."
            )
        return {name: instances for name in required_of(specs)}
    names = instances[0].keys()
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict) or instance.keys() != names or not are_inputs(instance, specs):
            received = ", ".join(map(repr, instance)) if isinstance(instance, dict) else _kind(instance)
            raise RequestError(
                400, f"Instance {index} must be an object of the inputs {', '.join(map(repr, specs))}. "
                f"Received {received[:200]}.",
            )  # fmt: skip
    return {name: [instance[name] for instance in instances] for name in names}


def _columns(inputs, specs):
    """Values by input name."""
    if isinstance(inputs, dict) and not _is_b64(inputs):
        if not are_inputs(inputs, specs):
            raise RequestError(
                400, f"'inputs' must name {', '.join(map(repr, specs))}. "
                f"Received {', '.join(map(repr, inputs))[:200] or 'nothing'}.",
            )  # fmt: skip
        return inputs
    if len(required_of(specs)) != 1:
        raise RequestError(400, f"The signature has several inputs, so 'inputs' must name them: {', '.join(specs)}.")
    return {name: inputs for name in required_of(specs)}


def _shape(name, values):
    """The sizes of nested lists, which must not be ragged."""
    shape, level = [], [values]
    while level and isinstance(level[0], list):
        sizes = {len(value) if isinstance(value, list) else None for value in level}
        if len(sizes) != 1:
            raise RequestError(400, f"input '{name}' has rows of different lengths or depths: it is no tensor.")
        shape.append(sizes.pop())
        level = [item for value in level for item in value]
        if len(shape) > _DEEPEST:
            raise RequestError(400, f"input '{name}' is nested too deeply.")
    if any(isinstance(value, list) for value in level):
        raise RequestError(400, f"input '{name}' has rows of different lengths or depths: it is no tensor.")
    return tuple(shape)


def _as_bytes(value, dtype):
    if isinstance(value, str):
        return value.encode("utf-8")
    if _is_b64(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError):
            raise RequestError(400, f"'b64' must be base64. Received {_short(value['b64'])}.") from None
    raise TypeError


def _as_bool(value, dtype):
    if isinstance(value, bool):
        return value
    raise TypeError


def _as_number(value, dtype):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    if np.issubdtype(dtype, np.integer) and int(value) != value:  # of what is not finite there is no integer
        raise TypeError
    return value


def _is_b64(value):
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _values(name, array):
    """An array as what `orjson` writes."""
    if array.dtype.kind == "c":
        raise RequestError(400, f"output '{name}' has complex numbers, which JSON has not. Ask over gRPC.")
    if array.dtype.kind == "V" or array.dtype == np.float16:  # bfloat16 and its like
        array = array.astype(np.float32)
    if array.dtype != object:
        return np.ascontiguousarray(array) if array.ndim else array.item()
    if name.endswith("_bytes"):
        return _map(lambda value: {"b64": base64.b64encode(value).decode()}, array.tolist())
    return _map(lambda value: value.decode("utf-8", errors="replace"), array.tolist())


def _map(function, values):
    return [_map(function, value) for value in values] if isinstance(values, list) else function(values)


def dump(content):
    """bytes of JSON."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _kind(value):
    names = {dict: "Object", list: "Array", str: "String", bool: "Bool", type(None): "Null"}
    return names.get(type(value), "Number")


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _show(shape):
    return "(" + ", ".join(map(str, shape)) + ")"
