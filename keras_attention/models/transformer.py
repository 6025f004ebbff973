"""The Transformer's encoder and decoder: ids in, in the signatures of all encoders and decoders."""

import keras
from keras import ops

from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.layer import Dropout, Layer
from keras_attention.layers.normalization import LayerNormalization
from keras_attention.layers.positions import LearnedPositions, PositionalEncoding
from keras_attention.layers.transformer import DecoderBlock, EncoderBlock
from keras_attention.models.decoders import DecoderOutput
from keras_attention.models.encoders import EncoderOutput

POSITIONS = ("sinusoid", "learned", "rotary", "alibi")

# Glorot's for a matrix of query, key and value together: smaller by the root of two. See docs/decisions/0006.
_PROJECTIONS = {
    "module": "keras.initializers",
    "class_name": "VarianceScaling",
    "config": {"scale": 0.5, "mode": "fan_avg", "distribution": "uniform", "seed": None},
    "registered_name": None,
}


class _Stack(Layer):
    """What the two share: embedding, positions, blocks, and the last norm of a `"pre"` stack."""

    block_class = None

    def __init__(
        self,
        embedding,
        layers,
        num_heads,
        feed_forward_units,
        positions="sinusoid",
        max_length=1024,
        norm="pre",
        activation="relu",
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        attention_options=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if positions not in POSITIONS:
            known = ", ".join(map(repr, POSITIONS))
            raise ValueError(f"{type(self).__name__}: positions must be one of {known}. Received {positions!r}.")
        self.supports_masking = True
        self.embedding = embedding
        self.units = embedding.output_dim
        self.layers = layers
        self.num_heads = num_heads
        self.feed_forward_units = feed_forward_units
        self.positions = positions
        self.max_length = max_length
        self.norm = norm
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.activation_dropout = activation_dropout
        self.attention_options = dict(attention_options or {})
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
                activation=activation,
                dropout=dropout,
                attention_dropout=attention_dropout,
                activation_dropout=activation_dropout,
                attention_options=self._attention_options(),
                dtype=self.dtype_policy,
                name=f"block_{index}",
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

    def compute_mask(self, *inputs, **kwargs):
        return None

    def get_config(self):
        return super().get_config() | {
            "embedding": keras.saving.serialize_keras_object(self.embedding),
            "layers": self.layers,
            "num_heads": self.num_heads,
            "feed_forward_units": self.feed_forward_units,
            "positions": self.positions,
            "max_length": self.max_length,
            "norm": self.norm,
            "activation": self.activation,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "activation_dropout": self.activation_dropout,
            "attention_options": self.attention_options,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "embedding": keras.saving.deserialize_keras_object(config["embedding"])})


@keras.saving.register_keras_serializable(package="keras_attention")
class TransformerEncoder(_Stack):
    """Embedding, positions and a stack of `EncoderBlock`s.

    Args:
        embedding: a `keras.layers.Embedding`, or one derived from it, which the
            decoder may share. What it gives is multiplied by `sqrt(width)`.
        layers: number of blocks.
        num_heads: attention heads of a block.
        feed_forward_units: width of the hidden layer of a block.
        positions: `"sinusoid"` (Tensor2Tensor's), `"learned"`, `"rotary"` or
            `"alibi"`.
        max_length: number of learned positions.
        norm, activation, attention_dropout, activation_dropout,
            attention_options: as in `EncoderBlock`. Attention is computed as a
            whole; `{"blockwise": "auto"}` is for documents of thousands of
            tokens.
        dropout: fraction dropped of the embedded tokens and of each sublayer's
            output, in training.

    Call args:
        ids: `(batch, source)` integers.
        mask: bool `(batch, source)`, True = a token; or None.
        training: whether to drop.

    Returns:
        `EncoderOutput(outputs, summary)`.

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

    def call(self, ids, mask=None, training=False):
        outputs = self.embed(ids, mask=mask, training=training)
        for block in self.blocks:
            outputs = block(outputs, mask=mask, training=training)
        if self.final_norm is not None:
            outputs = self.final_norm(outputs)
        return EncoderOutput(outputs, outputs)


@keras.saving.register_keras_serializable(package="keras_attention")
class TransformerDecoder(_Stack):
    """Embedding, positions, a stack of `DecoderBlock`s and an output layer.

    Args:
        embedding: a `keras.layers.Embedding`, or a
            `keras.layers.ReversibleEmbedding`, whose matrix then is the output
            layer's too. What it gives is multiplied by `sqrt(width)`.
        layers, num_heads, feed_forward_units, positions, max_length, norm,
            activation, dropout, attention_dropout, activation_dropout,
            attention_options: as in `TransformerEncoder`.

    Call args:
        ids: `(batch, target)` integers.
        memory: what `prepare` returned.
        state: what `start` or the last call returned.
        mask: bool `(batch, target)`, True = a token; or None.
        training: whether to drop.
        return_attention_scores: whether to compute the weights.
        sharers: rows of ids for each row of the memory; see `read_shared`.

    Returns:
        `DecoderOutput(logits, state, weights)`; the weights are
        `(batch, target, layers, heads, source)`.

    Example:

    >>> embedding = keras.layers.ReversibleEmbedding(9, 4)
    >>> decoder = TransformerDecoder(embedding, layers=2, num_heads=2, feed_forward_units=8)
    >>> decoder.build((None, None), (None, None, 4))
    >>> memory = decoder.prepare(np.ones((2, 7, 4)))
    >>> logits, state, weights = decoder(np.array([[2], [2]]), memory, decoder.start(np.ones((2, 7, 4))))
    >>> logits.shape, weights.shape
    (TensorShape([2, 1, 9]), TensorShape([2, 1, 2, 2, 7]))

    Reference: Vaswani et al. 2017, 3.1 and 3.4; Press and Wolf 2017, "Using the
        Output Embedding to Improve Language Models", for the shared matrix.
    """

    block_class = DecoderBlock

    def __init__(self, embedding, *args, **kwargs):
        super().__init__(embedding, *args, **kwargs)
        self.output_projection = (
            None
            if isinstance(embedding, keras.layers.ReversibleEmbedding)
            else PositionsDense(embedding.input_dim, use_bias=False, dtype=self.dtype_policy, name="output")
        )

    def build(self, ids_shape, value_shape, summary_shape=None):
        super().build(ids_shape, value_shape)
        if self.output_projection is not None:
            self.output_projection.build((None, None, self.units))

    def copy_weights(self, tied):
        """Takes the weights of a decoder that differs in sharing the embedding's matrix."""
        parts = [(self.embedding, tied.embedding), *zip(self.blocks, tied.blocks, strict=True)]
        parts += [(getattr(self, name), getattr(tied, name)) for name in ("_positions", "final_norm")]
        for own, other in parts:
            if own is not None:
                own.set_weights(other.get_weights())
        self.output_projection.kernel.assign(ops.transpose(tied.embedding.embeddings))

    def prepare(self, value, value_mask=None):
        """The memory of a source, made once: one `Memory` a block."""
        return tuple(block.prepare(value, value_mask) for block in self.blocks)

    def start(self, summary):
        """The state before the first target token: one empty cache a block."""
        return tuple(block.allocate(ops.shape(summary)[0]) for block in self.blocks)

    def call(self, ids, memory, state, mask=None, training=False, return_attention_scores=True, sharers=1):
        outputs = self.embed(ids, offset=state[0].tokens, mask=mask, training=training)
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
