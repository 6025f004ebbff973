"""The Transformer's encoder and decoder: ids or vectors in, in the signatures of all encoders and decoders."""

from typing import ClassVar

import keras
from keras import ops, tree

from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.layer import Dropout, Layer, deserialized, serialized
from keras_attention.layers.normalization import LayerNormalization
from keras_attention.layers.positions import LearnedPositions, PositionalEncoding
from keras_attention.layers.transformer import BLOCK_ARGUMENTS, DecoderBlock, EncoderBlock
from keras_attention.models.parts import Decoder, DecoderOutput, Encoder, EncoderOutput, mean_summary
from keras_attention.models.presets import split_options

POSITIONS = ("sinusoid", "learned", "rotary", "alibi")

# Glorot's for a matrix of query, key and value together: smaller by the root of two. See docs/decisions/0006.
_PROJECTIONS = {
    "module": "keras.initializers",
    "class_name": "VarianceScaling",
    "config": {"scale": 0.5, "mode": "fan_avg", "distribution": "uniform", "seed": None},
    "registered_name": None,
}


# What a stack hands on to each of its blocks as it was given.
_BLOCK_OPTIONS = BLOCK_ARGUMENTS - {"num_heads", "units", "norm", "dropout"}

STACK_OPTIONS = _BLOCK_OPTIONS | {"positions", "max_length", "norm"}


class _Stack(Layer):
    """What the two share: embedding, positions, blocks, and the last norm of a `"pre"` stack."""

    block_class = None
    more_block_options: ClassVar = set()

    def __init__(
        self,
        embedding,
        layers,
        num_heads,
        feed_forward_units,
        positions="sinusoid",
        max_length=1024,
        norm="pre",
        dropout=0.0,
        **options,
    ):
        options, more = split_options(options, _BLOCK_OPTIONS | self.more_block_options)
        super().__init__(**more)
        if positions not in POSITIONS:
            known = ", ".join(map(repr, POSITIONS))
            raise ValueError(f"{type(self).__name__}: positions must be one of {known}. Received {positions!r}.")
        self.embedding = embedding
        self.vocabulary_size = getattr(embedding, "input_dim", None)
        self.units = embedding.output_dim if self.vocabulary_size else embedding.units
        self.layers = layers
        self.num_heads = num_heads
        self.feed_forward_units = feed_forward_units
        self.positions = positions
        self.max_length = max_length
        self.norm = norm
        self.dropout = dropout
        self.attention_options = dict(options.pop("attention_options", None) or {})
        self._option_names = sorted(options)
        self._positions = None
        if positions == "sinusoid":
            self._positions = PositionalEncoding("concatenated", "tensor2tensor", dtype=self.dtype_policy)
        elif positions == "learned":
            self._positions = LearnedPositions(max_length, dtype=self.dtype_policy)
        self._dropout = Dropout(dropout, dtype=self.dtype_policy)
        self.blocks = [
            self.block_class(
                num_heads,
                feed_forward_units,
                norm=norm,
                dropout=dropout,
                attention_options=self._attention_options(),
                dtype=self.dtype_policy,
                name=f"block_{index}",
                **options,
            )
            for index in range(layers)
        ]
        self.final_norm = LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy) if norm == "pre" else None

    def _attention_options(self):
        """Those of a block. Sentences are short, and a graph that asks how long they are is slow to trace."""
        positions = {"positions": self.positions} if self.positions in ("rotary", "alibi") else {}
        defaults = {"blockwise": False, "kernel_initializer": _PROJECTIONS}
        return defaults | self.attention_options | positions

    def build(self, ids_shape, *block_shapes):
        shape = (None, None, self.units)
        if not self.embedding.built:
            self.embedding.build(ids_shape)
        for layer in (self._positions, self.final_norm):
            if layer is not None:
                layer.build(shape)
        for block in self.blocks:
            block.build(shape, *block_shapes)

    def embed(self, ids, offset=0, mask=None, training=False):
        """`dropout(sqrt(units) E[ids] + positions)`."""
        inputs = self.embedding(ids) * self.units**0.5
        if self._positions is not None:
            inputs = self._positions(inputs, offset=offset, mask=mask)
        return self._dropout(inputs, training=training)

    def get_config(self):
        of_blocks = self.blocks[0].get_config() if self.blocks else {}
        return super().get_config() | {
            "embedding": serialized(self.embedding),
            "layers": self.layers,
            "num_heads": self.num_heads,
            "feed_forward_units": self.feed_forward_units,
            "positions": self.positions,
            "max_length": self.max_length,
            "norm": self.norm,
            "dropout": self.dropout,
            "attention_options": self.attention_options,
            **{name: of_blocks[name] for name in self._option_names},
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "embedding": deserialized(config["embedding"])})


@keras.saving.register_keras_serializable(package="keras_attention")
class TransformerEncoder(_Stack, Encoder):
    """Embedding, positions and a stack of `EncoderBlock`s.

    Args:
        embedding: a `keras.layers.Embedding`, or one derived from it, which the
            decoder may share; or a `keras.layers.Dense` for sources that are
            vectors. What it gives is multiplied by `sqrt(width)`.
        layers: number of blocks.
        num_heads: attention heads of a block.
        feed_forward_units: width of the hidden layer of a block.
        positions: `"sinusoid"` (Tensor2Tensor's), `"learned"`, `"rotary"` or
            `"alibi"`.
        max_length: number of learned positions.
        norm: as in `EncoderBlock`.
        dropout: fraction dropped of the embedded tokens and of each sublayer's
            output, in training.
        **options: others of `EncoderBlock`. Attention is computed as a whole;
            `attention_options={"blockwise": "auto"}` is for documents of
            thousands of tokens.

    Call args: see `Encoder`.

    Returns:
        `EncoderOutput(outputs, mask, summary)`; the summary is the mean of the
        outputs at tokens.

    Example:

    >>> encoder = TransformerEncoder(keras.layers.Embedding(9, 4), layers=2, num_heads=2, feed_forward_units=8)
    >>> encoder(np.array([[5, 6, 7]])).outputs.shape
    TensorShape([1, 3, 4])

    Reference: Vaswani et al. 2017, 3.1 and 3.4.
    """

    block_class = EncoderBlock

    @property
    def output_dim(self):
        return self.units

    def call(self, source, mask=None, training=False):
        mask = self.mask_of(source, mask)
        outputs = self.embed(source, mask=mask, training=training)
        for block in self.blocks:
            outputs = block(outputs, mask=mask, training=training)
        if self.final_norm is not None:
            outputs = self.final_norm(outputs)
        return EncoderOutput(outputs, mask, mean_summary(outputs, mask))


@keras.saving.register_keras_serializable(package="keras_attention")
class TransformerDecoder(_Stack, Decoder):
    """Embedding, positions, a stack of `DecoderBlock`s and an output layer.

    Args:
        embedding: a `keras.layers.Embedding`, or a
            `keras.layers.ReversibleEmbedding`, whose matrix then is the output
            layer's too; or a `keras.layers.Dense` for targets that are vectors.
            What it gives is multiplied by `sqrt(width)`.
        layers, num_heads, feed_forward_units, positions, max_length, norm,
            dropout, **options: as in `TransformerEncoder`; and
            `cross_attention=True`, whether there is a source. Without one it is
            the decoder of a `LanguageModel`.
        output_dim: width of the output where there is no vocabulary.

    Call args and Returns: see `Decoder`. The weights are
        `(batch, target, layers, heads, source)`; without a source those of what
        was consumed, this call's tokens among it.

    Example:

    >>> embedding = keras.layers.ReversibleEmbedding(9, 4)
    >>> decoder = TransformerDecoder(embedding, layers=2, num_heads=2, feed_forward_units=8)
    >>> decoder.build((None, None), (None, None, 4))
    >>> memory = decoder.prepare(np.ones((2, 7, 4)))
    >>> logits, state, weights = decoder(np.array([[2], [2]]), memory, decoder.start((), memory))
    >>> logits.shape, weights.shape
    (TensorShape([2, 1, 9]), TensorShape([2, 1, 2, 2, 7]))

    Reference: Vaswani et al. 2017, 3.1 and 3.4; Press and Wolf 2017, "Using the
        Output Embedding to Improve Language Models", for the shared matrix.
    """

    block_class = DecoderBlock
    more_block_options: ClassVar = {"cross_attention"}
    state_grows = True

    def __init__(self, embedding, *args, output_dim=None, **kwargs):
        super().__init__(embedding, *args, **kwargs)
        if not (self.vocabulary_size or output_dim):
            raise ValueError(
                "TransformerDecoder: give output_dim, the width of a target, with an embedding that has no vocabulary. "
                f"Received {embedding!r}."
            )
        self.output_dim = output_dim
        self.output_projection = (
            None
            if isinstance(embedding, keras.layers.ReversibleEmbedding)
            else PositionsDense(
                self.vocabulary_size or output_dim,
                use_bias=not self.vocabulary_size,
                dtype=self.dtype_policy,
                name="output",
            )
        )

    @property
    def has_source(self):
        """Whether its blocks attend to a memory."""
        return all(block.has_source for block in self.blocks)

    def build(self, target_shape, value_shape=None, summary_shape=None):
        super().build(target_shape, value_shape)
        if self.output_projection is not None:
            self.output_projection.build((None, None, self.units))

    def for_decoding(self):
        """The same with an output matrix of its own, the transposed embedding.

        A tied matrix lies the wrong way round for the product with few rows,
        which is half the work of a step.
        """
        if self.output_projection is not None:
            return self
        embedding = keras.layers.Embedding(self.vocabulary_size, self.units, dtype=self.embedding.dtype_policy)
        decoder = type(self).from_config(self.get_config() | {"embedding": serialized(embedding)})
        decoder.build_from_config(self.get_build_config())
        parts = [(decoder.embedding, self.embedding), *zip(decoder.blocks, self.blocks, strict=True)]
        parts += [(getattr(decoder, name), getattr(self, name)) for name in ("_positions", "final_norm")]
        for own, tied in parts:
            if own is not None:
                own.set_weights(tied.get_weights())
        decoder.output_projection.kernel.assign(ops.transpose(self.embedding.embeddings))
        return decoder

    def get_config(self):
        return super().get_config() | {"output_dim": self.output_dim}

    def prepare(self, value, value_mask=None):
        if not self.has_source and value.shape[1] != 0:
            raise ValueError(
                "TransformerDecoder: with cross_attention=False it reads no source. Received one of shape "
                f"{tuple(value.shape)}. Leave cross_attention=True, or use the decoder in a LanguageModel."
            )
        return tuple(block.prepare(value, value_mask) for block in self.blocks)

    def start(self, summary, memory):
        """The state before the first target step: one empty cache a block."""
        tensor = memory[0].value if self.has_source else tree.flatten(summary)[0]
        return tuple(block.allocate(ops.shape(tensor)[0]) for block in self.blocks)

    def call(self, target, memory, state, mask=None, training=False, return_attention_scores=True, sharers=1):
        outputs = self.embed(target, offset=state[0].tokens, mask=mask, training=training)
        caches, weights = [], []
        for block, block_memory, cache in zip(self.blocks, memory, state, strict=True):
            outputs, block_weights, cache = block.extend(
                outputs,
                block_memory,
                cache,
                mask=mask,
                training=training,
                return_attention_scores=return_attention_scores,
                sharers=sharers,
            )
            caches.append(cache)
            weights.append(block_weights)
        if self.final_norm is not None:
            outputs = self.final_norm(outputs)
        return DecoderOutput(
            self.logits(outputs), tuple(caches), _stacked(weights) if return_attention_scores else None
        )

    def logits(self, outputs):
        """Over the vocabulary: `(batch, target, units)` to `(batch, target, vocabulary)`."""
        if self.output_projection is not None:
            return self.output_projection(outputs)
        return self.embedding(outputs, reverse=True)


def _stacked(weights):
    """The weights of all blocks as `(batch, target, layers, heads, source)`."""
    return ops.moveaxis(ops.stack(weights, axis=1), 3, 1)
