"""TensorFlow Serving's REST protocol: from a body to what it asks, from arrays to an answer, and to an error.

Rows, `{"instances": [...]}`, are answered with `{"predictions": [...]}`;
columns, `{"inputs": ...}`, with `{"outputs": ...}`. Bytes are
`{"b64": "..."}`. Nothing here knows a model, a thread or a socket.

Reference: https://www.tensorflow.org/tfx/serving/api_rest
"""

from typing import NamedTuple

import numpy as np

from keras_attention.serving.errors import RequestError
from keras_attention.serving.signatures import DEFAULT, are_inputs, signature_of, unnamed_of
from keras_attention.serving.tensors import dump, is_b64, json_values, kind_of, load, to_array


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

    def format_answer(self, outputs, servable):
        """The body that answers it, bytes; see the function of that name."""
        return format_answer(outputs, self.by_row)


def parse_request(body, signatures):
    """Reads the body of a `:predict`.

    Args:
        body: bytes of JSON.
        signatures: dict of names to dicts of input names to `TensorSpec`.

    Raises:
        RequestError: 400, if there is anything wrong with it.
    """
    content = load(body)
    if not isinstance(content, dict):
        raise RequestError(400, f"JSON must be an object. Received {kind_of(content)}.")
    name = content.get("signature_name") or DEFAULT
    specs = signature_of(name, signatures)
    present = [key for key in ("instances", "inputs") if key in content]
    if not present:
        raise RequestError(400, "Missing 'inputs' or 'instances' key")
    if len(present) == 2:
        raise RequestError(400, "Not formatted correctly: expected one of 'inputs' and 'instances', received both")
    by_row = present == ["instances"]
    columns = _columns_of_rows(content["instances"], specs) if by_row else _columns(content["inputs"], specs)
    return PredictRequest(name, {key: to_array(key, columns[key], specs[key]) for key in columns}, by_row)


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
    values = {name: json_values(name, array) for name, array in outputs.items()}
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


def _columns_of_rows(instances, specs):
    """Lists of values by input name."""
    if not isinstance(instances, list):
        raise RequestError(400, f"'instances' must be a list. Received {kind_of(instances)}.")
    if not instances:
        raise RequestError(400, "'instances' must hold at least one instance")
    named = isinstance(instances[0], dict) and not is_b64(instances[0])
    if not named:
        if unnamed_of(specs) is None:
            raise RequestError(
                400, f"The signature has several inputs, so each instance must be an object of: {', '.join(specs)}."
            )
        return {unnamed_of(specs): instances}
    names = instances[0].keys()
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict) or instance.keys() != names or not are_inputs(instance, specs):
            received = ", ".join(map(repr, instance)) if isinstance(instance, dict) else kind_of(instance)
            raise RequestError(
                400, f"Instance {index} must be an object of the inputs {', '.join(map(repr, specs))}. "
                f"Received {received[:200]}.",
            )  # fmt: skip
    return {name: [instance[name] for instance in instances] for name in names}


def _columns(inputs, specs):
    """Values by input name."""
    if isinstance(inputs, dict) and not is_b64(inputs):
        if not are_inputs(inputs, specs):
            raise RequestError(
                400, f"'inputs' must name {', '.join(map(repr, specs))}. "
                f"Received {', '.join(map(repr, inputs))[:200] or 'nothing'}.",
            )  # fmt: skip
        return inputs
    if unnamed_of(specs) is None:
        raise RequestError(400, f"The signature has several inputs, so 'inputs' must name them: {', '.join(specs)}.")
    return {unnamed_of(specs): inputs}
