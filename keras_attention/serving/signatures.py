"""What the protocols know of a model's signatures."""

from typing import Any, NamedTuple

from keras_attention.serving.errors import RequestError
from keras_attention.serving.tensors import kind_of

DEFAULT = "serving_default"  # name of the signature that answers if none is named


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


def signature_of(name, signatures):
    """The inputs of the signature that a request names.

    Raises:
        RequestError: 400, if there is none of that name.
    """
    if not isinstance(name, str):
        raise RequestError(400, f"'signature_name' key must be a string value. Received {kind_of(name)}.")
    if name not in signatures:
        known = ", ".join(sorted(signatures))
        raise RequestError(400, f'Serving signature name: "{name}" not found in signature def. There are: {known}.')
    return signatures[name]


def required_of(specs):
    """Names of the inputs that a request must have."""
    return [name for name, spec in specs.items() if spec.default is None]


def unnamed_of(specs):
    """The name of the input that values without one are for; None if there are several."""
    names = required_of(specs) or list(specs)
    return names[0] if len(names) == 1 else None


def are_inputs(names, specs):
    """Whether names are those of all inputs that must be there, and of no others than there are."""
    return set(required_of(specs)) <= set(names) <= set(specs)
