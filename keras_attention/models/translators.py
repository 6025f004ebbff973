"""Models for sentences: subword ids of one language in, logits over another's out."""

import keras

from keras_attention.layers.cells import DecoderCell, get_decoder_cell
from keras_attention.models.base import EncoderDecoder
from keras_attention.models.decoders import RecurrentDecoder
from keras_attention.models.encoders import RecurrentEncoder
from keras_attention.models.transformer import TransformerDecoder, TransformerEncoder

# Wu et al. 2021, table 1, for "tiny" and "small" (Fairseq's iwslt configuration); Vaswani et al. 2017, table 3.
TRANSFORMER_PRESETS = {
    "tiny": {"layers": 4, "units": 128, "num_heads": 4, "feed_forward_units": 256, "dropout": 0.3},
    "small": {"layers": 6, "units": 512, "num_heads": 4, "feed_forward_units": 1024, "dropout": 0.3},
    "base": {"layers": 6, "units": 512, "num_heads": 8, "feed_forward_units": 2048, "dropout": 0.1},
}

# The first is the size of Multi30k's recurrent baselines, Caglayan et al. 2017.
RECURRENT_PRESETS = {
    "tiny": {"units": 320, "encoder_units": 320, "embedding_dim": 256, "dropout": 0.4},
    "small": {"units": 512, "encoder_units": 256, "embedding_dim": 512, "layers": 2, "residual": True, "dropout": 0.2},
}

TIES = ("all", "inputs", "target", None)


@keras.saving.register_keras_serializable(package="keras_attention")
class TransformerTranslator(EncoderDecoder):
    """The Transformer of Vaswani et al., from subword ids to subword logits.

    Args:
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        layers: blocks of the encoder, and of the decoder.
        units: width of the model.
        num_heads: attention heads of a block.
        feed_forward_units: width of the hidden layer of a block.
        decoder_layers: blocks of the decoder, if not `layers`.
        norm: `"pre"`, or the paper's `"post"`; see docs/decisions/0006.
        positions: `"sinusoid"`, `"learned"`, `"rotary"` or `"alibi"`.
        tied: which embeddings are one matrix: `"all"`: of source, target and
            output (the paper; the vocabularies must be one); `"inputs"`: of
            source and target; `"target"`: of target and output; None: three
            matrices.
        max_length: number of learned positions.
        activation, dropout, attention_dropout, activation_dropout,
            attention_options: as in `TransformerEncoder`.

    Call args and Returns: see `EncoderDecoder`.

    Raises:
        ValueError: for `tied="all"` with vocabularies of different sizes.

    Example:

    >>> model = TransformerTranslator.from_preset("tiny", 60, 60)
    >>> model({"source": np.array([[5, 6, 7]]), "target": np.array([[2, 5]])}).shape
    TensorShape([1, 2, 60])

    Reference: Vaswani et al. 2017, "Attention Is All You Need".
    """

    def __init__(
        self,
        source_vocabulary_size,
        target_vocabulary_size,
        layers=6,
        units=512,
        num_heads=8,
        feed_forward_units=2048,
        decoder_layers=None,
        norm="pre",
        positions="sinusoid",
        tied="all",
        max_length=1024,
        activation="relu",
        dropout=0.1,
        attention_dropout=0.0,
        activation_dropout=0.0,
        attention_options=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if tied not in TIES:
            known = ", ".join(map(repr, TIES))
            raise ValueError(f"TransformerTranslator: tied must be one of {known}. Received {tied!r}.")
        if tied in ("all", "inputs") and source_vocabulary_size != target_vocabulary_size:
            raise ValueError(
                f"TransformerTranslator: tied={tied!r} needs one vocabulary for both languages. Received "
                f"{source_vocabulary_size} source and {target_vocabulary_size} target ids. Train a joint vocabulary, "
                "or use tied='target'."
            )
        self.source_vocabulary_size = source_vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.units = units
        self.layer_count = layers
        self.decoder_layers = decoder_layers
        self.tied = tied
        self.arguments = {
            "num_heads": num_heads,
            "feed_forward_units": feed_forward_units,
            "norm": norm,
            "positions": positions,
            "max_length": max_length,
            "activation": activation,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "activation_dropout": activation_dropout,
            "attention_options": dict(attention_options or {}),
        }
        target_embedding = self._embedding(target_vocabulary_size, tied in ("all", "target"), name="embedding")
        source_embedding = (
            target_embedding
            if tied in ("all", "inputs")
            else self._embedding(source_vocabulary_size, reversible=False, name="source_embedding")
        )
        shared = self.arguments | {"dtype": self.dtype_policy}
        self.encoder = TransformerEncoder(source_embedding, layers, name="encoder", **shared)
        self.decoder = TransformerDecoder(target_embedding, decoder_layers or layers, name="decoder", **shared)
        self.build()

    @classmethod
    def from_preset(cls, preset, source_vocabulary_size, target_vocabulary_size, **arguments):
        """A model of a published size.

        Args:
            preset: `"tiny"` (Wu et al. 2021: 4 + 4 layers of 128), `"small"`
                (Fairseq's for IWSLT: 6 + 6 of 512) or `"base"` (Vaswani et al.
                2017: 6 + 6 of 512, wider blocks).
            source_vocabulary_size: number of source ids.
            target_vocabulary_size: number of target ids.
            **arguments: of the constructor, instead of the preset's.

        Raises:
            ValueError: for an unknown preset.
        """
        chosen = _preset(cls, preset, TRANSFORMER_PRESETS)
        return cls(source_vocabulary_size, target_vocabulary_size, **(chosen | arguments))

    def build(self, input_shape=None):
        self.encoder.build((None, None))
        self.decoder.build((None, None), (None, None, self.units))

    def for_decoding(self):
        """The same with an output matrix of its own, the transposed embedding.

        A tied matrix lies the wrong way round for the product with few rows,
        which is half the work of a step.
        """
        if self.tied not in ("all", "target"):
            return self
        tied = {"all": "inputs", "target": None}[self.tied]
        model = type(self).from_config(self.get_config() | {"tied": tied})
        model.encoder.set_weights(self.encoder.get_weights())
        model.decoder.copy_weights(self.decoder)
        return model

    def _embedding(self, vocabulary_size, reversible, name):
        arguments = {
            "embeddings_initializer": keras.initializers.RandomNormal(stddev=self.units**-0.5),
            "dtype": self.dtype_policy,
            "name": name,
        }
        if not reversible:
            return keras.layers.Embedding(vocabulary_size, self.units, **arguments)
        return keras.layers.ReversibleEmbedding(
            vocabulary_size, self.units, reverse_dtype=self.compute_dtype, **arguments
        )

    def get_config(self):
        return super().get_config() | {
            "source_vocabulary_size": self.source_vocabulary_size,
            "target_vocabulary_size": self.target_vocabulary_size,
            "layers": self.layer_count,
            "units": self.units,
            "decoder_layers": self.decoder_layers,
            "tied": self.tied,
            **self.arguments,
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class RecurrentTranslator(EncoderDecoder):
    """A recurrent encoder-decoder with Bahdanau's attention, Luong's, or none.

    Args:
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        units: width of the decoder's state.
        encoder_units: width of the encoder's state, of each direction.
            Defaults to `units / 2` for a bidirectional encoder, else `units`.
        embedding_dim: width of both embeddings.
        layers: recurrent layers of the encoder, and of the decoder, of which
            the top one attends.
        residual: whether layers from the second on add their input to their
            output.
        attention: `"bahdanau"`, `"luong"` or None; see `BahdanauCell`,
            `LuongCell`, `PlainCell`; or a `DecoderCell`, such as
            `LuongCell(512, score="concat")`.
        attention_options: further arguments of the named cell, such as
            `{"input_feeding": False}` or `{"deep_output": 64}`.
        cell: `"gru"` or `"lstm"`, of encoder and decoder; that of the
            `DecoderCell` if one is given.
        bidirectional: whether the encoder reads from both ends.
        bridge: from the encoder's last states to the decoder's first; see
            `Bridge`.
        tied: whether the output layer has the target embedding's matrix; see
            `RecurrentDecoder`.
        dropout: fraction dropped from the inputs of each layer and before the
            output layer, in training.
        context_dropout: fraction dropped from the encoder's outputs, which
            attention reads, in training.

    Call args and Returns: see `EncoderDecoder`.

    Raises:
        ValueError: for options of a cell that is given as an object.

    Example:

    >>> model = RecurrentTranslator(60, 50, units=8, embedding_dim=6, layers=2, attention="luong")
    >>> model({"source": np.array([[5, 6, 7]]), "target": np.array([[2, 5]])}).shape
    TensorShape([1, 2, 50])

    Reference: Bahdanau et al. 2015; Luong et al. 2015.
    """

    def __init__(
        self,
        source_vocabulary_size,
        target_vocabulary_size,
        units=512,
        encoder_units=None,
        embedding_dim=256,
        layers=1,
        residual=False,
        attention="bahdanau",
        attention_options=None,
        cell="gru",
        bidirectional=True,
        bridge="dense",
        tied=True,
        dropout=0.2,
        context_dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        given = isinstance(attention, DecoderCell)
        if given and attention_options:
            raise ValueError(
                f"{type(self).__name__}: attention_options are for an attention that is given by name. Received "
                f"attention={attention!r} and attention_options={attention_options!r}. Give them to the cell."
            )
        cell = attention.cell if given else cell
        self.source_vocabulary_size = source_vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.units = units
        self.encoder_units = encoder_units or (units // 2 if bidirectional else units)
        self.embedding_dim = embedding_dim
        self.layer_count = layers
        self.residual = residual
        self._attention_name = None if given else attention
        self._cell_is_given = given
        self.attention_options = dict(attention_options or {})
        self.cell = cell
        self.bidirectional = bidirectional
        self.bridge = bridge
        self.tied = tied
        self.dropout = dropout
        self.context_dropout = context_dropout
        shared = {"layers": layers, "residual": residual, "embedding_dim": embedding_dim, "dropout": dropout}
        self.encoder = RecurrentEncoder(
            source_vocabulary_size,
            self.encoder_units,
            cell=cell,
            bidirectional=bidirectional,
            output_dropout=context_dropout,
            dtype=self.dtype_policy,
            name="encoder",
            **shared,
        )
        self.decoder = RecurrentDecoder(
            target_vocabulary_size,
            get_decoder_cell(attention, units, cell=cell, dtype=self.dtype_policy, **self.attention_options),
            bridge=bridge,
            tied=tied,
            dtype=self.dtype_policy,
            name="decoder",
            **shared,
        )
        self.build()

    @classmethod
    def from_preset(cls, preset, source_vocabulary_size, target_vocabulary_size, **arguments):
        """A model of a known size.

        Args:
            preset: `"tiny"`: one GRU layer of 320, 40 % dropout, as Multi30k's
                recurrent baselines are; `"small"`: two residual layers of 512.
            source_vocabulary_size: number of source ids.
            target_vocabulary_size: number of target ids.
            **arguments: of the constructor, instead of the preset's.

        Raises:
            ValueError: for an unknown preset.
        """
        chosen = _preset(cls, preset, RECURRENT_PRESETS)
        return cls(source_vocabulary_size, target_vocabulary_size, **(chosen | arguments))

    def build(self, input_shape=None):
        self.encoder.build((None, None))
        direction = ((None, self.encoder_units),) * self.decoder.cell.state_count
        summary_shape = (direction,) * self.encoder.directions
        self.decoder.build((None, None), (None, None, self.encoder.output_dim), summary_shape)

    @property
    def attention(self):
        """Name of the attention, or the cell that was given."""
        return self.decoder.cell if self._cell_is_given else self._attention_name

    def get_config(self):
        return super().get_config() | {
            "source_vocabulary_size": self.source_vocabulary_size,
            "target_vocabulary_size": self.target_vocabulary_size,
            "units": self.units,
            "encoder_units": self.encoder_units,
            "embedding_dim": self.embedding_dim,
            "layers": self.layer_count,
            "residual": self.residual,
            "attention": keras.saving.serialize_keras_object(self.attention),
            "attention_options": self.attention_options,
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "bridge": self.bridge,
            "tied": self.tied,
            "dropout": self.dropout,
            "context_dropout": self.context_dropout,
        }

    @classmethod
    def from_config(cls, config):
        if isinstance(config.get("attention"), dict):
            config = {**config, "attention": keras.saving.deserialize_keras_object(config["attention"])}
        return cls(**config)


def _preset(owner, name, presets):
    if name not in presets:
        known = ", ".join(map(repr, presets))
        raise ValueError(f"{owner.__name__}: preset must be one of {known}. Received {name!r}.")
    return presets[name]
