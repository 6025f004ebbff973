"""The encoder-decoder, two parts that meet in `call`, and the language model, a decoder alone.

Training calls the whole; search calls `encode`, or `begin`, once and `decode` a
step at a time.
"""

import keras
from keras import ops, tree

from keras_attention.layers.checked_inputs import ChecksInputs
from keras_attention.layers.layer import deserialized, serialized
from keras_attention.layers.masks import padding_mask
from keras_attention.layers.sizes import size_of
from keras_attention.models.parts import Encoder, encoded


class DecodingModel(ChecksInputs, keras.Model):
    """Base of the models that give a target step by step: they have a `decoder`."""

    # What the constructor of a class that chooses its own parts was given, as its config has it.
    arguments = None

    # The parts of a model whose constructor takes them.
    parts = ("decoder",)

    @property
    def target_vocabulary_size(self):
        """Number of target ids; None of a decoder that reads something else."""
        return getattr(self.decoder, "vocabulary_size", None)

    def decode(
        self, target, memory, state, mask=None, training=False, return_attention_scores=True, sharers=1, columns=None
    ):
        """Target steps, any number: `DecoderOutput(logits, state, weights)`.

        Args:
            target: what the decoder reads, `(rows, target)` integers or
                `(rows, target, dim)` floats.
            memory: from `encode` or `begin`.
            state: from there, or from the last call; of as many rows.
            mask: bool `(rows, target)`, True = a token; or None where all are,
                or where padding stands behind and nobody reads its logits.
            training: whether to drop.
            return_attention_scores: whether the weights are needed.
            sharers: rows for each row of the memory, one after another, such
                as the hypotheses of a search.
            columns: what the decoder's `output_columns` gave, for the logits of
                some ids alone; None computes all.
        """
        more = {} if columns is None else {"columns": columns}
        return self.decoder(
            target,
            memory,
            state,
            mask=mask,
            training=training,
            return_attention_scores=return_attention_scores,
            sharers=sharers,
            **more,
        )

    def output_columns(self, ids):
        """What makes the logits of some ids alone, as the `columns` of `decode`; see `Decoder.output_columns`."""
        return self.decoder.output_columns(ids)

    def get_config(self):
        return super().get_config() | (self.arguments or {name: serialized(getattr(self, name)) for name in self.parts})

    @classmethod
    def from_config(cls, config):
        return cls(**{name: deserialized(value) for name, value in config.items()})


@keras.saving.register_keras_serializable(package="keras_attention")
class EncoderDecoder(DecodingModel):
    """An encoder and a decoder: a source in, and a target, the next target out.

    Any encoder meets any decoder. Models that choose both for a purpose, such
    as `RecurrentTranslator`, are derived from this one.

    Args:
        encoder: an `Encoder`, such as `RecurrentEncoder` or
            `TransformerEncoder`; or any layer or model of Keras that turns a
            source into `(batch, ..., dim)`, such as a convolutional network
            over pictures, whose positions are then attended to row by row.
        decoder: a `RecurrentDecoder`, a `TransformerDecoder`, or a layer with
            their `build`, `prepare`, `start` and call.

    Call args:
        inputs: dict of `source`, what the encoder reads, and `target`: the
            start id, or value, and all of the target but its last. Ids are
            integers `(batch, length)`, 0 where there is no token; padding may
            stand anywhere. Of other sources and targets `source_mask` and
            `target_mask`, bool `(batch, length)`, may say where there is
            something.

    Returns:
        What the decoder gives for each position, `(batch, target, dim)`: of one
        that reads ids logits over the vocabulary for the token after
        `target[:, t]`.

    Raises:
        ValueError: if the encoder gives nothing that can be attended to.

    Example: a recurrent encoder with a Transformer's decoder.

    >>> decoder = TransformerDecoder(keras.layers.Embedding(7, 8), layers=1, num_heads=2, feed_forward_units=16)
    >>> model = EncoderDecoder(RecurrentEncoder(vocabulary_size=9, units=4), decoder)
    >>> model({"source": np.array([[5, 6, 8]]), "target": np.array([[2, 5]])}).shape
    TensorShape([1, 2, 7])
    """

    parts = ("encoder", "decoder")

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        if getattr(encoder, "vocabulary_size", None) and getattr(decoder, "vocabulary_size", None):
            self.build({"source": (None, None), "target": (None, None)})  # ids have but one shape

    @property
    def source_vocabulary_size(self):
        """Number of source ids; None of an encoder that reads something else."""
        return getattr(self.encoder, "vocabulary_size", None)

    def build(self, input_shape):
        """Creates all weights, from a dict of the shapes of `source` and `target`."""
        if self.encoder.built and self.decoder.built:
            return
        shapes = self._encoded_shapes(tuple(input_shape["source"]))
        if not self.decoder.built:
            self.decoder.build(tuple(input_shape["target"]), shapes.outputs, shapes.summary)

    def _encoded_shapes(self, source_shape):
        if isinstance(self.encoder, Encoder):
            if not self.encoder.built:
                self.encoder.build(source_shape)
            return self.encoder.compute_output_shape(source_shape)
        outputs = encoded(self.encoder, keras.KerasTensor(source_shape, self.compute_dtype))
        return tree.map_structure(lambda tensor: None if tensor is None else tensor.shape, outputs)

    def encode(self, source, mask=None, training=False):
        """The source's part of the work, done once.

        Args:
            source: what the encoder reads.
            mask: bool `(batch, source)`, True = a token, if the encoder cannot
                tell by itself.
            training: whether to drop.

        Returns:
            `(memory, state)`, for `decode`.
        """
        outputs, mask, summary = encoded(self.encoder, source, mask, training)
        memory = self.decoder.prepare(outputs, mask)
        return memory, self.decoder.start(summary, memory)

    def for_decoding(self):
        """A model that computes the same and decodes faster, or this one; the encoder is shared."""
        decoder = self.decoder.for_decoding()
        return self if decoder is self.decoder else EncoderDecoder(self.encoder, decoder, dtype=self.dtype_policy)

    def call(self, inputs, training=False):
        memory, state = self.encode(inputs["source"], mask=inputs.get("source_mask"), training=training)
        target, mask = inputs["target"], inputs.get("target_mask")
        if mask is None and self.target_vocabulary_size:
            mask = padding_mask(target)
        return self.decode(target, memory, state, mask=mask, training=training, return_attention_scores=False).logits


@keras.saving.register_keras_serializable(package="keras_attention")
class LanguageModel(DecodingModel):
    """A decoder without a source: each token from those before it.

    Args:
        decoder: a `TransformerDecoder` with `cross_attention=False`, or a
            `RecurrentDecoder` of `PlainCell`s; one that reads ids.

    Call args:
        inputs: the start id and all of a text but its last token: integers
            `(batch, length)`, 0 where there is no token; padding may stand
            anywhere.

    Returns:
        Logits over the vocabulary for the token after `inputs[:, t]`:
        `(batch, length, vocabulary)`.

    Raises:
        ValueError: for a decoder that reads no ids, or that needs a source.

    Example:

    >>> embedding = keras.layers.ReversibleEmbedding(9, 8)
    >>> model = LanguageModel(TransformerDecoder(embedding, 2, 2, 16, cross_attention=False))
    >>> model(np.array([[2, 5, 6]])).shape
    TensorShape([1, 3, 9])

    Reference: Radford et al. 2018, "Improving Language Understanding by
        Generative Pre-Training", 3.1; Mikolov et al. 2010, "Recurrent Neural
        Network Based Language Model".
    """

    def __init__(self, decoder, **kwargs):
        super().__init__(**kwargs)
        if not getattr(decoder, "vocabulary_size", None):
            raise ValueError(f"LanguageModel: the decoder must read ids, of a vocabulary_size. Received {decoder!r}.")
        if getattr(decoder, "has_source", False):
            raise ValueError(
                "LanguageModel: the decoder must attend to no source. Received one that does: write "
                "`cross_attention=False` in a TransformerDecoder, or give a RecurrentDecoder PlainCells."
            )
        self.decoder = decoder
        self.build((None, None))

    def build(self, input_shape):
        """Creates all weights; ids have but one shape."""
        if not self.decoder.built:
            self.decoder.build(tuple(input_shape), (None, None, 1), (((None, 1),),))

    def begin(self, rows):
        """`(memory, state)` before the first token of `rows` texts, for `decode`: what an empty source leaves."""
        nothing = ops.zeros((rows, 0, 1), self.compute_dtype)
        memory = self.decoder.prepare(nothing)
        return memory, self.decoder.start(((ops.zeros((rows, 1), self.compute_dtype),),), memory)

    def for_decoding(self):
        """A model that computes the same and decodes faster, or this one."""
        decoder = self.decoder.for_decoding()
        return self if decoder is self.decoder else LanguageModel(decoder, dtype=self.dtype_policy)

    def call(self, inputs, training=False):
        memory, state = self.begin(size_of(inputs, 0))
        mask = padding_mask(inputs)
        return self.decode(inputs, memory, state, mask=mask, training=training, return_attention_scores=False).logits
