"""The two parts of a model: what an encoder gives, and what a decoder is.

Every decoder has one signature, for training, search and forced prefixes alike:

    memory = decoder.prepare(outputs, mask)         once per source
    state = decoder.start(summary, memory)          once per source
    logits, state, weights = decoder(ids, memory, state)
"""

import inspect
import math
from typing import Any, NamedTuple

import keras
from keras import ops
from keras.src.backend import get_keras_mask

from keras_attention.layers.layer import Layer
from keras_attention.layers.masks import cleaned, padding_mask
from keras_attention.layers.products import wide
from keras_attention.layers.sizes import size_of


class EncoderOutput(NamedTuple):
    """What an encoder returns.

    Attributes:
        outputs: one vector a source position: `(batch, source, dim)`.
        mask: bool `(batch, source)`, True = may be attended; or None.
        summary: what a decoder starts from, for a `Bridge`: one tuple of
            `(batch, units)` a direction. Of a recurrent encoder the last
            states, of any other the mean of its outputs.
    """

    outputs: Any
    mask: Any
    summary: Any


class Encoder(Layer):
    """Base of the encoders: a layer that gives an `EncoderOutput`.

    A subclass defines `build(source_shape)`, `compute_output_shape(source_shape)`
    and the call. One that reads ids says so by `vocabulary_size`, and makes its
    own mask: 0 is padding.

    Call args:
        source: `(batch, source)` integers, or floats `(batch, source, dim)`.
        mask: bool `(batch, source)`, True = a token; None: what is not 0, of
            ids, and everything of floats.
        training: whether to drop.
    """

    vocabulary_size = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True  # it takes one; what it returns carries none

    def compute_mask(self, *inputs, **kwargs):
        return None

    def mask_of(self, source, mask=None):
        """The mask of a source: the one that was given, or the one that its ids tell."""
        return padding_mask(source) if mask is None and self.vocabulary_size else mask

    def compute_output_shape(self, source_shape):
        """An `EncoderOutput` of shapes: by default of `output_dim`, with the mean as summary."""
        batch, length = source_shape[:2]
        mask = (batch, length) if self.vocabulary_size else None
        return EncoderOutput((batch, length, self.output_dim), mask, (((batch, self.output_dim),),))

    def compute_output_spec(self, source, mask=None, training=False):
        outputs, mask, summary = self.compute_output_shape(source.shape)
        return EncoderOutput(
            keras.KerasTensor(outputs, self.compute_dtype),
            None if mask is None else keras.KerasTensor(mask, "bool"),
            tuple(tuple(keras.KerasTensor(shape, self.compute_dtype) for shape in states) for states in summary),
        )


def mean_summary(outputs, mask=None):
    """The mean of the outputs at tokens, as a summary: `(((batch, dim),),)`."""
    if mask is None:
        return ((ops.mean(outputs, axis=1),),)
    dtype = wide(outputs.dtype)  # a sum of float16 overflows, and bfloat16 cannot count to 257
    count = ops.maximum(ops.sum(ops.cast(mask, dtype), axis=1, keepdims=True), 1)
    total = ops.sum(ops.cast(cleaned(outputs, mask), dtype), axis=1)
    return ((ops.cast(total / count, outputs.dtype),),)


def encoded(encoder, source, mask=None, training=False):
    """The `EncoderOutput` of a source, whichever layer the encoder is.

    Args:
        encoder: an `Encoder`, or a layer that gives a tensor `(batch, ..., dim)`,
            or the outputs and states of a recurrent layer with
            `return_state=True`.
        source: what it reads.
        mask: bool, of the positions of its outputs; None: what the outputs
            carry, as Keras' layers have it.
        training: whether to drop.
    """
    known = inspect.signature(encoder.call).parameters
    more = {"training": training} if "training" in known else {}
    if isinstance(encoder, Encoder):
        return encoder(source, mask=mask, **more)
    result = encoder(source, **({"mask": mask} if mask is not None and "mask" in known else {}), **more)
    if isinstance(result, EncoderOutput):
        return result
    outputs, *states = result if isinstance(result, (tuple, list)) else (result,)
    if len(outputs.shape) < 3:
        raise ValueError(
            f"EncoderDecoder: the encoder must give one vector a position, (batch, ..., dim). Received shape "
            f"{tuple(outputs.shape)} from {type(encoder).__name__} '{encoder.name}'."
            + (" Write `return_sequences=True`." if hasattr(encoder, "return_sequences") else "")
        )
    mask = get_keras_mask(outputs) if mask is None else mask
    if len(outputs.shape) > 3:
        sizes = outputs.shape[1:-1]
        positions = -1 if None in sizes else math.prod(sizes)
        outputs = ops.reshape(outputs, (size_of(outputs, 0), positions, outputs.shape[-1]))
    if not states:
        return EncoderOutput(outputs, mask, mean_summary(outputs, mask))
    count = len(states) // 2 if isinstance(encoder, keras.layers.Bidirectional) else len(states)
    return EncoderOutput(outputs, mask, tuple(tuple(states[at : at + count]) for at in range(0, len(states), count)))


class DecoderOutput(NamedTuple):
    """What a decoder returns.

    Attributes:
        logits: over the vocabulary, for the token after each given one:
            `(batch, target, vocabulary)`; of a decoder of floats the next
            values, `(batch, target, output_dim)`.
        state: for the next call; a structure of tensors, batch first.
        weights: `(batch, target, source)`; where several layers or heads
            attend `(batch, target, layers, heads, source)`. None if they were
            not asked for and cost something.
    """

    logits: Any
    state: Any
    weights: Any


def tied_columns(embedding, bias, ids):
    """`(kernel, bias)` of the logits of some ids, where an embedding's matrix makes them; the bias may be None."""
    kernel = ops.transpose(ops.take(embedding.embeddings, ids, axis=0))
    return kernel, None if bias is None else ops.take(bias, ids)


class Decoder(Layer):
    """Base of the decoders.

    A subclass defines `build(target_shape, value_shape, summary_shape)`,
    `prepare`, `start` and the call. One that reads ids says so by
    `vocabulary_size`.

    Call args:
        target: `(batch, target)` integers, or floats `(batch, target, dim)`.
        memory: what `prepare` returned.
        state: what `start` or the last call returned.
        mask: bool `(batch, target)`, True = a token; or None.
        training: whether to drop.
        return_attention_scores: whether the weights are needed.
        sharers: rows of the target for each row of the memory; see
            `AttentionLayer.read_shared`.

    Returns:
        `DecoderOutput(logits, state, weights)`.
    """

    vocabulary_size = None

    # Whether the shapes of the state change from call to call.
    state_grows = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True  # it takes them; what it returns carries none

    def compute_mask(self, *inputs, **kwargs):
        return None

    def prepare(self, value, value_mask=None):
        """The memory of a source, made once.

        Args:
            value: an encoder's outputs, `(batch, source, dim)`.
            value_mask: bool `(batch, source)`, or None.
        """
        raise NotImplementedError(f"{type(self).__name__} must define prepare(value, value_mask).")

    def start(self, summary, memory):
        """The state before the first target step: a structure of tensors, batch first.

        Args:
            summary: what the encoder knows at its end; see `EncoderOutput`.
            memory: what `prepare` returned.
        """
        raise NotImplementedError(f"{type(self).__name__} must define start(summary, memory).")

    def output_columns(self, ids):
        """What makes the logits of some ids alone, as the call's `columns`.

        Args:
            ids: int32 `(count,)`, in the order of the logits.
        """
        raise ValueError(f"{type(self).__name__} cannot compute some logits alone: leave the shortlist out.")

    def for_decoding(self):
        """A decoder that computes the same and decodes faster, with weights of its own; or this one."""
        return self
