"""JSON to arrays and back, for every protocol. Nothing here knows a model, a thread or a socket."""

import base64
import binascii
import json

import numpy as np
import orjson

from keras_attention.serving.errors import RequestError

DEEPEST = 32  # levels of a list; numpy has no arrays beyond


def to_array(name, values, spec):
    """Nested lists as an array of a dtype and shape.

    Raises:
        RequestError: 400, if they are no such array.
    """
    shape = nested_shape(name, values)
    check_shape(name, shape, spec)
    return filled_array(flattened(values, len(shape)), shape, spec)


def flattened(values, levels):
    """The values in nested lists of so many levels, a list."""
    flat = [values]
    for _ in range(levels):
        flat = [value for row in flat for value in row]
    return flat


def check_shape(name, shape, spec):
    """Raises `RequestError`, 400, for a shape that must not be given to the model."""
    if spec.refuses(shape):
        wanted = tuple("any" if size is None else size for size in spec.shape)
        raise RequestError(400, f"input '{name}' must have shape {_show(wanted)}. Received shape {_show(shape)}.")


def filled_array(flat, shape, spec):
    """An array of the values of JSON in a list.

    Raises:
        RequestError: 400, if one is not of the dtype.
    """
    convert = _as_bytes if spec.dtype == "string" else _as_bool if spec.dtype == "bool" else _as_number
    array = np.empty(len(flat), object if spec.dtype == "string" else spec.dtype)
    with np.errstate(over="ignore"):  # what is too large for the type is infinite
        for index, value in enumerate(flat):
            try:
                array[index] = convert(value, array.dtype)
            except (TypeError, ValueError, OverflowError):
                raise RequestError(
                    400, f"JSON Value: {_short(value)} Type: {kind_of(value)} is not of expected type: {spec.dtype}"
                ) from None
    return array.reshape(shape)


def nested_shape(name, values):
    """The sizes of nested lists.

    Raises:
        RequestError: 400, if they are ragged.
    """
    shape, level = [], [values]
    while level and isinstance(level[0], list):
        sizes = {len(value) if isinstance(value, list) else None for value in level}
        if len(sizes) != 1:
            raise RequestError(400, f"input '{name}' has rows of different lengths or depths: it is no tensor.")
        shape.append(sizes.pop())
        level = [item for value in level for item in value]
        if len(shape) > DEEPEST:
            raise RequestError(400, f"input '{name}' is nested too deeply.")
    if any(isinstance(value, list) for value in level):
        raise RequestError(400, f"input '{name}' has rows of different lengths or depths: it is no tensor.")
    return tuple(shape)


def json_values(name, array):
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


def kind_of(value):
    """JSON's word for what a value is."""
    names = {dict: "Object", list: "Array", str: "String", bool: "Bool", type(None): "Null"}
    return names.get(type(value), "Number")


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _show(shape):
    return "(" + ", ".join(map(str, shape)) + ")"


def load(body):
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


def _as_bytes(value, dtype):
    if isinstance(value, str):
        return value.encode("utf-8")
    if is_b64(value):
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


def is_b64(value):
    """Whether a value of JSON is bytes in base64."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)
