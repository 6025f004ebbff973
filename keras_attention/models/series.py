"""Models of series: floats in, floats out, by an encoder and a decoder that is fed what it said before."""

import keras
from keras import ops

from keras_attention.layers.masks import cleaned
from keras_attention.layers.products import wide
from keras_attention.layers.sizes import size_of
from keras_attention.layers.unroll import unroll
from keras_attention.models.base import DecodingModel
from keras_attention.models.parts import EncoderOutput, encoded

INPUTS = ("past", "future", "static")


@keras.saving.register_keras_serializable(package="keras_attention")
class SeriesToSeries(DecodingModel):
    """A forecast of a fixed number of steps, by an encoder of the past and a decoder of the future.

    The decoder is given, at each step, the value of the step before, what is
    known of this one, and what does not change. Trained with plain `fit`, it is
    fed its own predictions, as when it is used; with the true values as
    `target` beside the inputs it is fed those (teacher forcing), in one call,
    which is faster and leaves it less ready for its own mistakes.

    Each window is seen in units of its own: the mean of the targets' past is
    taken from them, and their standard deviation divided out; both are put back
    into the forecast.

    Args:
        encoder: an encoder of vectors, `vocabulary_size=None`.
        decoder: a decoder of vectors, whose `output_dim` is the number of
            targets.
        horizon: steps of a forecast.
        normalize: whether windows are seen in units of their own.

    Call args:
        inputs: dict of

            - `past`: `(batch, past, dim)`, what was observed; the targets come
              first, other observations after them.
            - `future` (optional): `(batch, horizon, known)`, what is known of
              the steps to come, such as the calendar.
            - `static` (optional): `(batch, static)`, what does not change.
            - `past_mask` (optional): bool `(batch, past)`, True = observed.
            - `target` (optional): `(batch, horizon, targets)`, the true values.

    Returns:
        The forecast, `(batch, horizon, targets)`, in the units of `past`;
        float32 in mixed precision, since those units may not fit into less.

    Raises:
        ValueError: for inputs of other steps, widths or names than it was built
            for.

    Example:

    >>> decoder = RecurrentDecoder(None, LuongCell(8), output_dim=1)
    >>> model = SeriesToSeries(RecurrentEncoder(None, units=8), decoder, horizon=6)
    >>> model({"past": np.ones((2, 24, 3)), "future": np.ones((2, 6, 2))}).shape
    TensorShape([2, 6, 1])

    Reference: Kim et al. 2022, "Reversible Instance Normalization for Accurate
        Time-Series Forecasting against Distribution Shift", for `normalize`.
    """

    parts = ("encoder", "decoder", "horizon", "normalize")

    def __init__(self, encoder, decoder, horizon, normalize=True, **kwargs):
        super().__init__(autocast=False, **kwargs)  # a series may not fit into float16 before it is in units of its own
        for name, part in (("encoder", encoder), ("decoder", decoder)):
            if getattr(part, "vocabulary_size", None):
                raise ValueError(
                    f"SeriesToSeries: the {name} must read vectors, vocabulary_size=None. Received {part!r}."
                )
        if horizon < 1:
            raise ValueError(f"SeriesToSeries: horizon must be at least 1. Received {horizon}.")
        self.encoder = encoder
        self.decoder = decoder
        self.horizon = horizon
        self.normalize = normalize
        self.widths = {}

    @property
    def target_dim(self):
        """Number of targets."""
        return self.decoder.output_dim

    def build(self, input_shape):
        """Creates all weights, from a dict of the shapes of the inputs."""
        self.widths = {name: input_shape[name][-1] for name in INPUTS if name in input_shape}
        if self.widths["past"] < self.target_dim:
            raise ValueError(
                f"{type(self).__name__}: the first columns of past must be the {self.target_dim} targets. Received "
                f"{self.widths['past']}."
            )
        static, known = self.widths.get("static", 0), self.widths.get("future", 0)
        batch, length = input_shape["past"][:2]
        source = (batch, length, self.widths["past"] + static)
        if not self.encoder.built:
            self.encoder.build(source)
        shapes = self.encoder.compute_output_shape(source)
        if not isinstance(shapes, EncoderOutput):
            shapes = EncoderOutput(shapes, None, (((batch, shapes[-1]),),))
        if not self.decoder.built:
            target = (batch, self.horizon, self.target_dim + known + static)
            self.decoder.build(target, shapes.outputs, shapes.summary)

    def call(self, inputs, training=False):
        self._check(inputs)
        if "target" not in inputs:
            return self.roll_out(inputs, training)[0]
        begun = self._begin(inputs, training)
        target = ops.cast(begun.normalized(inputs["target"]), self.compute_dtype)
        before = ops.concatenate([begun.last, target[:, :-1]], axis=1)
        target = ops.concatenate([before, begun.known], axis=-1)
        return begun.in_units(self.decode(target, begun.memory, begun.state, training=training).logits)

    def roll_out(self, inputs, training=False):
        """The forecast, each step of which is fed to the next, and the weights that it was made with.

        Args:
            inputs: as in a call.
            training: whether to drop.

        Returns:
            `(forecast, weights)`: `(batch, horizon, targets)`, and the
            decoder's weights, `(batch, horizon, ..., past)`.
        """
        self._check(inputs)
        begun = self._begin(inputs, training)

        def step(known, carry):
            value, state = carry
            target = ops.concatenate([value, known], axis=-1)[:, None]
            outputs = self.decode(target, begun.memory, state, training=training)
            value = outputs.logits[:, 0]
            return (value, outputs.weights[:, 0]), (value, outputs.state)

        first = (begun.last[:, 0], begun.state)
        (values, weights), _ = unroll(step, begun.known, first, state_grows=self.decoder.state_grows)
        return begun.in_units(values), weights

    def _begin(self, inputs, training):
        """Everything before the first step."""
        past_mask = inputs.get("past_mask")
        past = cleaned(ops.cast(inputs["past"], wide(self.compute_dtype)), past_mask)
        rows, length = ops.shape(past)[:2]
        static = inputs.get("static", ops.zeros((rows, 0), self.compute_dtype))
        future = inputs.get("future", ops.zeros((rows, self.horizon, 0), self.compute_dtype))
        begun = _Begun(past[..., : self.target_dim], past_mask, self.normalize)
        targets = cleaned(begun.normalized(past[..., : self.target_dim]), past_mask)
        source = self._joined(targets, past[..., self.target_dim :], _at_each_step(static, length))
        outputs, mask, summary = encoded(self.encoder, source, past_mask, training)
        begun.memory = self.decoder.prepare(outputs, mask)
        begun.state = self.decoder.start(summary, begun.memory)
        begun.last = ops.cast(_last(targets, past_mask), self.compute_dtype)
        begun.known = self._joined(future, _at_each_step(static, self.horizon))
        return begun

    def _joined(self, *parts):
        return ops.concatenate([ops.cast(part, self.compute_dtype) for part in parts], axis=-1)

    def _check(self, inputs):
        """Raises a ValueError unless the inputs are those that the model was built for."""
        unknown = set(inputs) - {*INPUTS, "past_mask", "target"}
        if unknown or "past" not in inputs or (self.widths and {*inputs} & {*INPUTS} != {*self.widths}):
            raise ValueError(
                f"{type(self).__name__}: inputs must be {', '.join(self.widths or ['past'])}, and may be past_mask and "
                f"target. Received {', '.join(sorted(inputs))}."
            )
        for name in ("future", "target"):
            steps = inputs[name].shape[1] if name in inputs else None
            if steps not in (None, self.horizon):
                raise ValueError(
                    f"{type(self).__name__}: it was built for a horizon of {self.horizon} steps. Received {steps} of "
                    f"{name}. Build a model for that horizon."
                )

    def for_decoding(self):
        """This one: there is nothing that decodes it faster."""
        return self


class _Begun:
    """What is known before the first step of a forecast."""

    memory = state = last = known = None

    def __init__(self, targets, mask, normalize):
        # Seen from a value of its own, a series far from zero loses no digits to its mean.
        self.origin = _last(targets, mask) if normalize else ops.zeros_like(targets[:, :1])
        self.mean, self.scale = _units(targets - self.origin, mask, normalize)

    def normalized(self, values):
        """Values in units of their window."""
        return (ops.cast(values, self.mean.dtype) - self.origin - self.mean) / self.scale

    def in_units(self, values):
        """Values in the units of the series."""
        return ops.cast(values, self.mean.dtype) * self.scale + self.mean + self.origin


def _units(targets, mask, normalize):
    """Mean and scale of each target over a window, `(batch, 1, targets)`."""
    if not normalize:
        zeros = ops.zeros_like(targets[:, :1])
        return zeros, zeros + 1
    live = ops.ones_like(targets) if mask is None else ops.cast(mask[..., None], targets.dtype)
    count = ops.maximum(ops.sum(live, axis=1, keepdims=True), 1)
    mean = ops.sum(targets * live, axis=1, keepdims=True) / count
    variance = ops.sum(ops.square(targets - mean) * live, axis=1, keepdims=True) / count
    # A series that does not move has no scale: one, relative to nothing.
    return mean, ops.where(variance > 1e-12, ops.sqrt(ops.maximum(variance, 1e-12)), 1.0)


def _last(targets, mask):
    """The last observed value, `(batch, 1, targets)`."""
    if mask is None:
        return targets[:, -1:]
    places = ops.cast(mask, "int32") * (1 + ops.arange(size_of(mask, 1), dtype="int32"))
    place = ops.maximum(ops.max(places, axis=1) - 1, 0)
    return ops.take_along_axis(targets, place[:, None, None], axis=1)


def _at_each_step(static, steps):
    """`(batch, static)` to `(batch, steps, static)`."""
    return ops.repeat(static[:, None], steps, axis=1)
