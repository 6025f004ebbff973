"""The Transformer's encoder and decoder: ids or vectors in, in the signatures of all encoders and decoders."""

from typing import ClassVar

import keras
from keras import ops, tree

from keras_attention.layers.dense import PositionsDense, multiply
from keras_attention.layers.layer import serialized
from keras_attention.layers.sizes import size_of
from keras_attention.layers.transformer import DecoderBlock, EncoderBlock
from keras_attention.models.parts import Decoder, DecoderOutput, Encoder, EncoderOutput, mean_summary, tied_columns
from keras_attention.models.transformer.alike import call_alike
from keras_attention.models.transformer.stack import Stack


@keras.saving.register_keras_serializable(package="keras_attention")
class TransformerEncoder(Stack, Encoder):
    """Embedding, positions and a stack of `EncoderBlock`s.

    Args:
        embedding: a `keras.layers.Embedding`, or one derived from it, which the
            decoder may share; or a `keras.layers.Dense` for sources that are
            vectors.
        layers: number of blocks.
        num_heads: attention heads of a block.
        feed_forward_units: width of the hidden layer of a block.
        positions: `"sinusoid"` (Tensor2Tensor's), `"learned"`, `"rotary"`,
            `"alibi"`, or a layer that adds them, such as
            `PositionalEncoding()`.
        max_length: number of learned positions.
        norm: as in `EncoderBlock`.
        dropout: fraction dropped of the embedded tokens and of each sublayer's
            output, in training.
        scale_embedding: whether what the embedding gives is multiplied by
            `sqrt(width)`.
        embedding_norm: whether the sum of tokens and positions is normalised.
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
            outputs = call_alike(block, "__call__", outputs, mask=mask, training=training)
        if self.final_norm is not None:
            outputs = self.final_norm(outputs)
        return EncoderOutput(outputs, mask, mean_summary(outputs, mask))


@keras.saving.register_keras_serializable(package="keras_attention")
class TransformerDecoder(Stack, Decoder):
    """Embedding, positions, a stack of `DecoderBlock`s and an output layer.

    Args:
        embedding: a `keras.layers.Embedding`, or a
            `keras.layers.ReversibleEmbedding`, whose matrix then is the output
            layer's too; or a `keras.layers.Dense` for targets that are vectors.
        layers, num_heads, feed_forward_units, positions, max_length, norm,
            dropout, scale_embedding, embedding_norm, **options: as in
            `TransformerEncoder`; and `cross_attention=True`, whether there is
            a source. Without one it is the decoder of a `LanguageModel`.
        output_dim: width of the output where there is no vocabulary.
        output_bias: whether the logits have a bias.

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

    def __init__(self, embedding, *args, output_dim=None, output_bias=False, **kwargs):
        super().__init__(embedding, *args, **kwargs)
        if not (self.vocabulary_size or output_dim):
            raise ValueError(
                "TransformerDecoder: give output_dim, the width of a target, with an embedding that has no vocabulary. "
                f"Received {embedding!r}."
            )
        self.output_dim = output_dim
        self.output_bias = output_bias
        self.tied_bias = None  # of the logits, where the embedding's matrix makes them
        self.output_projection = (
            None
            if isinstance(embedding, keras.layers.ReversibleEmbedding)
            else PositionsDense(
                self.vocabulary_size or output_dim,
                use_bias=output_bias or not self.vocabulary_size,
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
        elif self.output_bias:
            self.tied_bias = self.add_weight((self.vocabulary_size,), "zeros", name="output_bias")

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
        names = ("_positions", "embedding_norm", "final_norm")
        parts += [(getattr(decoder, name), getattr(self, name)) for name in names]
        for own, tied in parts:
            if own is not None:
                own.set_weights(tied.get_weights())
        decoder.output_projection.kernel.assign(ops.transpose(self.embedding.embeddings))
        if self.output_bias:
            decoder.output_projection.bias.assign(self.tied_bias)
        return decoder

    def get_config(self):
        return super().get_config() | {"output_dim": self.output_dim, "output_bias": self.output_bias}

    def prepare(self, value, value_mask=None):
        if not self.has_source and value.shape[1] != 0:
            raise ValueError(
                "TransformerDecoder: with cross_attention=False it reads no source. Received one of shape "
                f"{tuple(value.shape)}. Leave cross_attention=True, or use the decoder in a LanguageModel."
            )
        return tuple(call_alike(block, "prepare", value, value_mask=value_mask) for block in self.blocks)

    def start(self, summary, memory):
        """The state before the first target step: one empty cache a block."""
        tensor = memory[0].value if self.has_source else tree.flatten(summary)[0]
        batch = size_of(tensor, 0)
        return tuple(block.allocate(batch) for block in self.blocks)

    def call(
        self, target, memory, state, mask=None, training=False, return_attention_scores=True, sharers=1, columns=None
    ):
        outputs = self.embed(target, offset=state[0].tokens, mask=mask, training=training)
        caches, weights = [], []
        for block, block_memory, cache in zip(self.blocks, memory, state, strict=True):
            outputs, block_weights, cache = call_alike(
                block,
                "extend",
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
            self.logits(outputs, columns), tuple(caches), _stacked(weights) if return_attention_scores else None
        )

    def output_columns(self, ids):
        if self.output_projection is None:
            return tied_columns(self.embedding, self.tied_bias, ids)
        return self.output_projection.columns(ids)

    def logits(self, outputs, columns=None):
        """Over the vocabulary, or some ids: `(batch, target, units)` to `(batch, target, vocabulary)`."""
        if columns is not None:
            return multiply(outputs, *columns, self.compute_dtype)
        if self.output_projection is not None:
            return self.output_projection(outputs)
        logits = self.embedding(outputs, reverse=True)
        return logits if self.tied_bias is None else logits + ops.cast(self.tied_bias, logits.dtype)


def _stacked(weights):
    """The weights of all blocks as `(batch, target, layers, heads, source)`."""
    return ops.moveaxis(ops.stack(weights, axis=1), 3, 1)
