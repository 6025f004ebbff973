"""What the Transformer's encoder and decoder share: embedding, positions, blocks and the last norm."""

from typing import ClassVar

import keras

from keras_attention.layers.layer import Dropout, Layer, deserialized, serialized
from keras_attention.layers.normalization import LayerNormalization
from keras_attention.layers.positions import LearnedPositions, PositionalEncoding
from keras_attention.layers.transformer import BLOCK_ARGUMENTS
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

STACK_OPTIONS = _BLOCK_OPTIONS | {"positions", "max_length", "norm", "scale_embedding", "embedding_norm"}


class Stack(Layer):
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
        scale_embedding=True,
        embedding_norm=False,
        **options,
    ):
        options, more = split_options(options, _BLOCK_OPTIONS | self.more_block_options)
        super().__init__(**more)
        self.embedding = embedding
        self.vocabulary_size = getattr(embedding, "input_dim", None)
        self.units = embedding.output_dim if self.vocabulary_size else embedding.units
        self.layers = layers
        self.num_heads = num_heads
        self.feed_forward_units = feed_forward_units
        self.positions = self._known_positions(deserialized(positions))
        self.max_length = max_length
        self.norm = norm
        self.dropout = dropout
        self.scale_embedding = scale_embedding
        self.embedding_norm = self._normalization(options) if embedding_norm else None
        self.attention_options = dict(options.pop("attention_options", None) or {})
        self._option_names = sorted(options)
        self._positions = self._made_positions()
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
        self.final_norm = self._normalization(options) if norm == "pre" else None

    def _known_positions(self, positions):
        if not isinstance(positions, keras.layers.Layer) and positions not in POSITIONS:
            known = ", ".join(map(repr, POSITIONS))
            raise ValueError(
                f"{type(self).__name__}: positions must be one of {known}, or a layer such as PositionalEncoding. "
                f"Received {positions!r}."
            )
        return positions

    def _normalization(self, options):
        return LayerNormalization(epsilon=options.get("epsilon", 1e-6), dtype=self.dtype_policy)

    def _made_positions(self):
        """What adds positions to the embedded tokens; None where attention has them, or nothing does."""
        if isinstance(self.positions, keras.layers.Layer):
            return self.positions
        if self.positions == "sinusoid":
            return PositionalEncoding("concatenated", "tensor2tensor", dtype=self.dtype_policy)
        return LearnedPositions(self.max_length, dtype=self.dtype_policy) if self.positions == "learned" else None

    def _attention_options(self):
        """Those of a block. Sentences are short, and a graph that asks how long they are is slow to trace."""
        positions = {"positions": self.positions} if self.positions in ("rotary", "alibi") else {}
        defaults = {"blockwise": False, "kernel_initializer": _PROJECTIONS}
        return defaults | self.attention_options | positions

    @property
    def position_layer(self):
        """The layer that adds positions to the embedded tokens; None where attention has them."""
        return self._positions

    def build(self, ids_shape, *block_shapes):
        shape = (None, None, self.units)
        if not self.embedding.built:
            self.embedding.build(ids_shape)
        for layer in (self._positions, self.embedding_norm, self.final_norm):
            if layer is not None and not layer.built:
                layer.build(shape)
        for block in self.blocks:
            block.build(shape, *block_shapes)

    def embed(self, ids, offset=0, mask=None, training=False):
        """`dropout(sqrt(units) E[ids] + positions)`, normalised before if `embedding_norm`."""
        inputs = self.embedding(ids)
        if self.scale_embedding:
            inputs = inputs * self.units**0.5
        if self._positions is not None:
            inputs = self._positions(inputs, offset=offset, mask=mask)
        if self.embedding_norm is not None:
            inputs = self.embedding_norm(inputs)
        return self._dropout(inputs, training=training)

    def get_config(self):
        of_blocks = self.blocks[0].get_config() if self.blocks else {}
        return super().get_config() | {
            "embedding": serialized(self.embedding),
            "layers": self.layers,
            "num_heads": self.num_heads,
            "feed_forward_units": self.feed_forward_units,
            "positions": serialized(self.positions),
            "max_length": self.max_length,
            "norm": self.norm,
            "dropout": self.dropout,
            "scale_embedding": self.scale_embedding,
            "embedding_norm": self.embedding_norm is not None,
            "attention_options": self.attention_options,
            **{name: of_blocks[name] for name in self._option_names},
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "embedding": deserialized(config["embedding"])})
