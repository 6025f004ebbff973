"""Models at character level: short strings to short strings, dates above all."""

import keras

from keras_attention.layers.cells import get_decoder_cell
from keras_attention.models.base import EncoderDecoder
from keras_attention.models.decoders import RecurrentDecoder
from keras_attention.models.encoders import RecurrentEncoder


@keras.saving.register_keras_serializable(package="keras_attention")
class DateConverter(EncoderDecoder):
    """A recurrent encoder-decoder for strings of up to a few dozen characters.

    Args:
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        units: width of the decoder's state.
        encoder_units: width of the encoder's state, of each direction.
            Defaults to `units / 2` for a bidirectional encoder, else `units`.
        embedding_dim: width of both embeddings.
        attention: `"bahdanau"`, `"luong"` or None; see `BahdanauCell`,
            `LuongCell`, `PlainCell`.
        attention_options: further arguments of that cell, such as
            `{"input_feeding": True}` or `{"deep_output": 64}`. Without any,
            Luong's cell reads all steps in parallel.
        cell: `"gru"` or `"lstm"`, of encoder and decoder.
        bidirectional: whether the encoder reads from both ends.
        bridge: from the encoder's last states to the decoder's first; see
            `Bridge`.
        dropout: fraction dropped from the inputs of encoder and decoder and
            before the output layer, in training.

    Call args and Returns: see `EncoderDecoder`.

    Example:

    >>> model = DateConverter(source_vocabulary_size=60, target_vocabulary_size=15)
    >>> model({"source": np.array([[5, 6, 7]]), "target": np.array([[2, 5]])}).shape
    TensorShape([1, 2, 15])
    """

    def __init__(
        self,
        source_vocabulary_size,
        target_vocabulary_size,
        units=128,
        encoder_units=None,
        embedding_dim=32,
        attention="luong",
        attention_options=None,
        cell="gru",
        bidirectional=True,
        bridge="dense",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.source_vocabulary_size = source_vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.units = units
        self.encoder_units = encoder_units or (units // 2 if bidirectional else units)
        self.embedding_dim = embedding_dim
        self.attention = attention
        self.attention_options = dict(attention_options or {})
        self.cell = cell
        self.bidirectional = bidirectional
        self.bridge = bridge
        self.dropout = dropout
        self.encoder = RecurrentEncoder(
            source_vocabulary_size,
            self.encoder_units,
            embedding_dim=embedding_dim,
            cell=cell,
            bidirectional=bidirectional,
            dropout=dropout,
            dtype=self.dtype_policy,
            name="encoder",
        )
        options = {"input_feeding": False, **self.attention_options} if attention == "luong" else self.attention_options
        self.decoder = RecurrentDecoder(
            target_vocabulary_size,
            get_decoder_cell(attention, units, cell=cell, dtype=self.dtype_policy, **options),
            embedding_dim=embedding_dim,
            bridge=bridge,
            dropout=dropout,
            dtype=self.dtype_policy,
            name="decoder",
        )
        self.build()

    def build(self, input_shape=None):
        self.encoder.build((None, None))
        direction = ((None, self.encoder_units),) * self.decoder.cell.state_count
        summary_shape = (direction,) * self.encoder.directions
        self.decoder.build((None, None), (None, None, self.encoder.output_dim), summary_shape)

    def get_config(self):
        return super().get_config() | {
            "source_vocabulary_size": self.source_vocabulary_size,
            "target_vocabulary_size": self.target_vocabulary_size,
            "units": self.units,
            "encoder_units": self.encoder_units,
            "embedding_dim": self.embedding_dim,
            "attention": self.attention,
            "attention_options": self.attention_options,
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "bridge": self.bridge,
            "dropout": self.dropout,
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class VanillaSeq2Seq(DateConverter):
    """The baseline without attention: the source must fit into one vector.

    `DateConverter` with `attention=None`; it shows what attention is for.

    Args:
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        **kwargs: those of `DateConverter`, except `attention` and
            `attention_options`.

    Example:

    >>> VanillaSeq2Seq(60, 15).decoder.cell.attention is None
    True

    Reference: Sutskever et al. 2014; Cho et al. 2014.
    """

    def __init__(self, source_vocabulary_size, target_vocabulary_size, **kwargs):
        super().__init__(source_vocabulary_size, target_vocabulary_size, attention=None, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["attention"], config["attention_options"]
        return config
