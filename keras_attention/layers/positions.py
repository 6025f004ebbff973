"""Where a token stands: fixed sinusoids and learned position embeddings.

Positions are integers, angles are float32, and the cast to a smaller dtype
comes last: a sinusoid computed in bfloat16 cannot tell position 256 from 257.
Everything takes an `offset`, so that a sequence cut into calls gets the same
positions as the whole.
"""

import keras
import numpy as np
from keras import ops

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
        max_wavelength: of the slowest frequency, divided by 2 pi.
        dtype: of the result; the angles are float32 whatever it is.

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
    frequencies = (max_wavelength ** -(np.arange(count) / steps)).astype("float32")
    angles = ops.expand_dims(ops.cast(positions, "float32"), -1) * frequencies
    pair = (ops.sin(angles), ops.cos(angles))
    if layout == "concatenated":
        encoding = ops.concatenate(pair, axis=-1)
    else:
        encoding = ops.reshape(ops.stack(pair, axis=-1), (*ops.shape(angles)[:-1], dim))
    return ops.cast(encoding, dtype)


@keras.saving.register_keras_serializable(package="keras_attention")
class PositionalEncoding(keras.layers.Layer):
    """Adds a sinusoid of each position to the input.

    `y[t] = x[t] + sinusoid(offset + t)`. It has no weights and reaches any
    length; prefer `LearnedPositions` where lengths are short and fixed.
    Unlike the encodings of other libraries it takes an offset, names its
    layout (three are in use, and weights of one do not fit another), and
    stays exact in float16 and bfloat16.

    Args:
        layout: `"interleaved"` (the paper) or `"concatenated"`; see `sinusoid`.
        timescales: `"vaswani"` or `"tensor2tensor"`; see `sinusoid`.
        max_wavelength: of the slowest frequency, divided by 2 pi.

    Call args:
        inputs: `(batch, length, dim)`, `dim` even.
        offset: position of the first element: an integer, a scalar tensor,
            or one integer a row, `(batch,)`.

    Returns:
        `(batch, length, dim)`. The inputs' mask passes through.

    Example:

    >>> PositionalEncoding()(np.zeros((1, 2, 4)), offset=7).shape
    TensorShape([1, 2, 4])

    Reference: Vaswani et al. 2017, 3.5.
    """

    def __init__(self, layout="interleaved", timescales="vaswani", max_wavelength=10_000.0, **kwargs):
        super().__init__(**kwargs)
        _check_choice("PositionalEncoding", "layout", layout, LAYOUTS)
        _check_choice("PositionalEncoding", "timescales", timescales, TIMESCALES)
        self.layout = layout
        self.timescales = timescales
        self.max_wavelength = max_wavelength
        self.supports_masking = True

    def build(self, inputs_shape):
        if len(inputs_shape) != 3 or inputs_shape[-1] is None or inputs_shape[-1] % 2:
            raise ValueError(
                "PositionalEncoding: inputs must be (batch, length, dim) with an even dim, one sine and one cosine a "
                f"frequency. Received shape {tuple(inputs_shape)}."
            )

    def call(self, inputs, offset=0):
        positions = positions_from(ops.shape(inputs)[1], offset)
        return inputs + sinusoid(
            positions, inputs.shape[-1], self.layout, self.timescales, self.max_wavelength, inputs.dtype
        )

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        return super().get_config() | {
            "layout": self.layout,
            "timescales": self.timescales,
            "max_wavelength": self.max_wavelength,
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class LearnedPositions(keras.layers.Layer):
    """Adds a learned vector for each position to the input.

    `y[t] = x[t] + table[offset + t]`. Prefer `PositionalEncoding` where
    sequences may grow longer than in training.

    Args:
        max_length: number of positions that have a vector.
        initializer: of the table, `(max_length, dim)`.

    Call args:
        inputs: `(batch, length, dim)`.
        offset: position of the first element: an integer, a scalar tensor,
            or one integer a row, `(batch,)`.

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

    def call(self, inputs, offset=0):
        length = inputs.shape[1]
        if isinstance(offset, int) and length is not None and offset + length > self.max_length:
            raise ValueError(
                f"LearnedPositions: positions must stay below max_length={self.max_length}. Received length {length} "
                f"at offset {offset}. Use a larger max_length, or PositionalEncoding, which has no limit."
            )
        positions = ops.minimum(positions_from(ops.shape(inputs)[1], offset), self.max_length - 1)
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
        max_wavelength: of the slowest frequency, divided by 2 pi.

    Returns:
        Shaped and typed like `tensor`; the angles are float32 whatever it is.

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
    frequencies = (max_wavelength ** -(np.arange(dim // 2) / (dim // 2))).astype("float32")
    angles = ops.expand_dims(ops.cast(positions, "float32"), -1) * frequencies
    angles = ops.expand_dims(angles, -3)  # an axis for the heads
    cosine, sine = ops.cos(angles), ops.sin(angles)
    first, second = ops.split(ops.cast(tensor, "float32"), 2, axis=-1)
    turned = ops.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
    return ops.cast(turned, tensor.dtype)


def positions_from(length, offset):
    """Integers from `offset`: `(length,)`, or `(batch, length)` for one offset a row."""
    return ops.expand_dims(ops.convert_to_tensor(offset, dtype="int32"), -1) + ops.arange(length)


def _check_choice(owner, name, value, choices):
    if value not in choices:
        raise ValueError(f"{owner}: {name} must be one of {', '.join(map(repr, choices))}. Received {value!r}.")
