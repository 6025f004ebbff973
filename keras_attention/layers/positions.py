"""Where a token stands: fixed sinusoids and learned position embeddings.

Positions are integers, angles are float32 (float64 for float64), and the cast
to a smaller dtype comes last: a sinusoid computed in bfloat16 cannot tell
position 256 from 257. Everything takes an `offset`, so that a sequence cut into
calls gets the same positions as the whole. Where a mask is given, positions are
counted among the tokens, so that padding in front or in between moves nothing.
"""

import keras
import numpy as np
from keras import ops

from keras_attention.layers.layer import Layer
from keras_attention.layers.masks import check_mask
from keras_attention.layers.products import wide
from keras_attention.layers.sizes import size_of

LAYOUTS = ("interleaved", "concatenated")
TIMESCALES = ("vaswani", "tensor2tensor")


def sinusoid(positions, dim, layout="interleaved", timescales="vaswani", max_wavelength=10_000.0, dtype="float32"):
    """Sine and cosine of each position at `dim / 2` frequencies.

    Frequency `i` of `n = dim / 2` is `max_wavelength ** -(i / n)`, or
    `max_wavelength ** -(i / (n - 1))` with Tensor2Tensor's timescales.

    Args:
        positions: integers, any shape.
        dim: width of the encoding; even.
        layout: `"interleaved"` puts sine at even and cosine at odd
            dimensions; `"concatenated"` puts all sines before all cosines.
            Weights trained with one do not fit the other.
        timescales: `"vaswani"` or `"tensor2tensor"`, see above.
        max_wavelength: wavelength of the slowest frequency, divided by 2 pi.
        dtype: dtype of the result; the angles are float32 whatever it is, or
            float64 with float64.

    Returns:
        `positions.shape + (dim,)`.

    Raises:
        ValueError: for an odd `dim`, an unknown `layout` or `timescales`.

    Example:

    >>> sinusoid(np.array([0, 1]), 4).numpy().round(2)
    array([[0.  , 1.  , 0.  , 1.  ],
           [0.84, 0.54, 0.01, 1.  ]], dtype=float32)

    Reference: Vaswani et al. 2017, "Attention Is All You Need", 3.5.
        Interleaved with Vaswani's timescales is the paper's text, the
        Annotated Transformer, JoeyNMT and KerasHub; concatenated with
        Vaswani's is TensorFlow's tutorial and Sockeye; concatenated with
        Tensor2Tensor's is Fairseq, OpenNMT-tf and Flax's WMT example.
    """
    _check_choice("sinusoid", "layout", layout, LAYOUTS)
    _check_choice("sinusoid", "timescales", timescales, TIMESCALES)
    if dim % 2:
        raise ValueError(f"sinusoid: dim must be even, one sine and one cosine a frequency. Received dim={dim}.")
    count = dim // 2
    steps = count if timescales == "vaswani" else max(count - 1, 1)
    angles = _angles(positions, max_wavelength ** -(np.arange(count) / steps), dtype)
    pair = (ops.sin(angles), ops.cos(angles))
    if layout == "concatenated":
        encoding = ops.concatenate(pair, axis=-1)
    else:
        encoding = ops.reshape(ops.stack(pair, axis=-1), (*ops.shape(angles)[:-1], dim))
    return ops.cast(encoding, dtype)


@keras.saving.register_keras_serializable(package="keras_attention")
class PositionalEncoding(Layer):
    """Adds a sinusoid of each position to the input.

    `y[t] = x[t] + sinusoid(offset + t)`, where `t` counts tokens if there is a
    mask, so that padding in front or in between moves nothing. It has no weights and reaches any
    length; prefer `LearnedPositions` where lengths are short and fixed.
    Unlike the encodings of other libraries it takes an offset, names its
    layout (three are in use, and weights of one do not fit another), and
    stays exact in float16 and bfloat16.

    Args:
        layout: `"interleaved"` (the paper) or `"concatenated"`; see `sinusoid`.
        timescales: `"vaswani"` or `"tensor2tensor"`; see `sinusoid`.
        max_wavelength: wavelength of the slowest frequency, divided by 2 pi.
        first: number of the first position; some checkpoints begin with 2.

    Call args:
        inputs: `(batch, length, dim)`, `dim` even.
        offset: position of the first element: an integer, a scalar tensor,
            or one integer a row, `(batch,)`.
        mask: bool `(batch, length)`, True = a token. Keras' implicit mask
            arrives here, or as `inputs_mask` where `offset` is a tensor.

    Returns:
        `(batch, length, dim)`. The inputs' mask passes through.

    Example:

    >>> PositionalEncoding()(np.zeros((1, 2, 4)), offset=7).shape
    TensorShape([1, 2, 4])

    Reference: Vaswani et al. 2017, 3.5.
    """

    def __init__(self, layout="interleaved", timescales="vaswani", max_wavelength=10_000.0, first=0, **kwargs):
        super().__init__(**kwargs)
        _check_choice("PositionalEncoding", "layout", layout, LAYOUTS)
        _check_choice("PositionalEncoding", "timescales", timescales, TIMESCALES)
        self.layout = layout
        self.timescales = timescales
        self.max_wavelength = max_wavelength
        self.first = first
        self.supports_masking = True

    def build(self, inputs_shape):
        if len(inputs_shape) != 3 or inputs_shape[-1] is None or inputs_shape[-1] % 2:
            raise ValueError(
                "PositionalEncoding: inputs must be (batch, length, dim) with an even dim, one sine and one cosine a "
                f"frequency. Received shape {tuple(inputs_shape)}."
            )

    def call(self, inputs, offset=0, mask=None, inputs_mask=None):
        def encoding(positions):
            width, positions = inputs.shape[-1], positions + self.first
            return sinusoid(positions, width, self.layout, self.timescales, self.max_wavelength, inputs.dtype)

        return inputs + _looked_up(encoding, inputs, offset, _checked(self, inputs, mask, inputs_mask))

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        return super().get_config() | {
            "layout": self.layout,
            "timescales": self.timescales,
            "max_wavelength": self.max_wavelength,
            "first": self.first,
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class LearnedPositions(Layer):
    """Adds a learned vector for each position to the input.

    `y[t] = x[t] + table[offset + t]`, where `t` counts tokens if there is a
    mask, so that padding in front or in between moves nothing. Prefer `PositionalEncoding` where
    sequences may grow longer than in training.

    Args:
        max_length: number of positions that have a vector.
        initializer: initializer of the table, `(max_length, dim)`.

    Call args:
        inputs: `(batch, length, dim)`.
        offset: position of the first element: an integer, a scalar tensor,
            or one integer a row, `(batch,)`.
        mask: bool `(batch, length)`, True = a token. Keras' implicit mask
            arrives here, or as `inputs_mask` where `offset` is a tensor.

    Returns:
        `(batch, length, dim)`. The inputs' mask passes through.

    Raises:
        ValueError: if the length and offset, where they are known before the
            call runs, reach beyond `max_length`. Where they are not, the last
            vector stands for every later position.

    Example:

    >>> LearnedPositions(max_length=10)(np.zeros((1, 2, 4)), offset=7).shape
    TensorShape([1, 2, 4])

    Reference: Gehring et al. 2017, "Convolutional Sequence to Sequence
        Learning", 3.1.
    """

    def __init__(self, max_length, initializer="uniform", **kwargs):
        super().__init__(**kwargs)
        self.max_length = max_length
        self.initializer = keras.initializers.get(initializer)
        self.supports_masking = True

    def build(self, inputs_shape):
        if len(inputs_shape) != 3:
            raise ValueError(
                f"LearnedPositions: inputs must be (batch, length, dim). Received shape {tuple(inputs_shape)}."
            )
        self.table = self.add_weight(
            name="table", shape=(self.max_length, inputs_shape[-1]), initializer=self.initializer
        )

    def call(self, inputs, offset=0, mask=None, inputs_mask=None):
        length = inputs.shape[1]
        if isinstance(offset, int) and length is not None and offset + length > self.max_length:
            raise ValueError(
                f"LearnedPositions: positions must stay below max_length={self.max_length}. Received length {length} "
                f"at offset {offset}. Use a larger max_length, or PositionalEncoding, which has no limit."
            )
        mask = _checked(self, inputs, mask, inputs_mask)
        positions = ops.minimum(token_positions(mask, size_of(inputs, 1), offset), self.max_length - 1)
        return inputs + ops.cast(ops.take(self.table, positions, axis=0), inputs.dtype)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        return super().get_config() | {
            "max_length": self.max_length,
            "initializer": keras.initializers.serialize(self.initializer),
        }


def rotary(tensor, positions, max_wavelength=10_000.0):
    """Turns each pair of dimensions by an angle that grows with the position.

    After it the dot product of a query and a key depends on their distance,
    not on where they stand. Dimension `i` is paired with `i + dim / 2`.

    Args:
        tensor: queries or keys, `(batch, heads, length, dim)`, `dim` even.
        positions: integers, `(length,)` or `(batch, length)`.
        max_wavelength: wavelength of the slowest frequency, divided by 2 pi.

    Returns:
        Shaped and typed like `tensor`; the angles are float32 whatever it is,
        or float64 for float64.

    Raises:
        ValueError: for an odd `dim`.

    Example: at position 0 nothing turns.

    >>> x = np.ones((1, 1, 1, 4), "float32")
    >>> rotary(x, np.array([0])).numpy().tolist()
    [[[[1.0, 1.0, 1.0, 1.0]]]]

    Reference: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary
        Position Embedding", eq. 34; paired in halves as GPT-NeoX and Llama are.
    """
    dim = tensor.shape[-1]
    if dim % 2:
        raise ValueError(f"rotary: the width of a head must be even, for pairs that turn. Received {dim}.")
    angles = _angles(positions, max_wavelength ** -(np.arange(dim // 2) / (dim // 2)), tensor.dtype)
    angles = ops.expand_dims(angles, -3)  # an axis for the heads
    cosine, sine = ops.cos(angles), ops.sin(angles)
    first, second = ops.split(ops.cast(tensor, angles.dtype), 2, axis=-1)
    turned = ops.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
    return ops.cast(turned, tensor.dtype)


def positions_from(length, offset):
    """Integers from `offset`: `(length,)`, or `(batch, length)` for one offset a row."""
    return ops.expand_dims(ops.convert_to_tensor(offset, dtype="int32"), -1) + ops.arange(length)


def token_positions(mask, length, offset=0):
    """Where each element stands, counted among the tokens.

    Padding stands where the token before it does, and in front where the first
    token will.

    Args:
        mask: bool `(batch, length)`, True = a token; None means that all are.
        length: number of elements; an integer or a scalar tensor.
        offset: position of the first token: an integer, a scalar tensor, or
            one integer a row, `(batch,)`.

    Returns:
        Integers, `(batch, length)`; `(length,)` without a mask and with one
        offset for all rows.

    Example: a token after two pads, and two tokens with a pad between.

    >>> token_positions(np.array([[False, False, True], [True, False, True]]), 3).numpy().tolist()
    [[0, 0, 0], [0, 0, 1]]
    """
    if mask is None:
        return positions_from(length, offset)
    counted = ops.cumsum(ops.cast(mask, "int32"), axis=1)
    return ops.expand_dims(ops.convert_to_tensor(offset, dtype="int32"), -1) + ops.maximum(counted - 1, 0)


def token_count(mask, length):
    """How many of `length` elements are tokens: integers `(batch, 1)`, or `length` itself without a mask."""
    return length if mask is None else ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)


def _checked(layer, inputs, mask, inputs_mask):
    """The mask of a call, given or implicit."""
    mask = inputs_mask if mask is None else mask
    check_mask(mask, type(layer).__name__, "mask", "(batch, length)", inputs.shape[:2])
    return mask


def _looked_up(encoding, inputs, offset, mask):
    """An encoding of each position, computed once for all rows where they have one offset."""
    length = size_of(inputs, 1)
    if mask is None or len(ops.convert_to_tensor(offset).shape):
        return encoding(token_positions(mask, length, offset))
    return ops.take(encoding(positions_from(length, offset)), token_positions(mask, length), axis=0)


def _angles(positions, frequencies, dtype):
    """A position times each frequency, `positions.shape + (frequencies,)`: float64 for float64, else float32."""
    dtype = wide(dtype)
    return ops.multiply(ops.expand_dims(ops.cast(positions, dtype), -1), frequencies.astype(dtype))


def _check_choice(owner, name, value, choices):
    if value not in choices:
        raise ValueError(f"{owner}: {name} must be one of {', '.join(map(repr, choices))}. Received {value!r}.")
