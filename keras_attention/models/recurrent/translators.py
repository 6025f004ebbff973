"""Recurrent models for sentences: subword ids of one language in, logits over another's out."""

import keras

from keras_attention.layers.cells import PlainCell, get_decoder_cell
from keras_attention.layers.decoder_cell import DecoderCell
from keras_attention.layers.gnmt_cell import GNMTCell
from keras_attention.layers.layer import serialized
from keras_attention.layers.recurrent import copies
from keras_attention.models.base import EncoderDecoder
from keras_attention.models.presets import Sized, split_options
from keras_attention.models.recurrent.decoder import RecurrentDecoder
from keras_attention.models.recurrent.encoder import RecurrentEncoder

# The first is the size of Multi30k's recurrent baselines, Caglayan et al. 2017.
RECURRENT_PRESETS = {
    "tiny": {"units": 320, "encoder_units": 320, "embedding_dim": 256, "dropout": 0.4},
    "small": {"units": 512, "encoder_units": 256, "embedding_dim": 512, "layers": 2, "residual": True, "dropout": 0.2},
}

# The second is TensorFlow's NMT code's, of four layers; the paper's has eight.
GNMT_PRESETS = {
    "tiny": {"units": 256, "layers": 3, "dropout": 0.3},
    "small": {"units": 1024, "layers": 4, "dropout": 0.2},
    "base": {"units": 1024, "layers": 8, "dropout": 0.2},
}

# What a recurrent model also takes, with its defaults.
RECURRENT_OPTIONS = {"encoder_units": None, "bidirectional": True, "bridge": "dense", "context_dropout": 0.0}


@keras.saving.register_keras_serializable(package="keras_attention")
class RecurrentTranslator(Sized, EncoderDecoder):
    """A recurrent encoder-decoder with Bahdanau's attention, Luong's, any other, or none.

    Args:
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        units: width of the decoder's state.
        embedding_dim: width of both embeddings.
        layers: recurrent layers of the encoder, and of the decoder, of which
            the top one attends.
        residual: whether layers from the second on add their input to their
            output.
        attention: `"bahdanau"`, `"luong"` or None; see `BahdanauCell`,
            `LuongCell`, `PlainCell`; or a `DecoderCell`, such as
            `LuongCell(512, attention=LocalAttention("general"))`.
        attention_options: further arguments of the named cell, such as
            `{"input_feeding": False}` or `{"deep_output": 64}`.
        cell: `"gru"`, `"lstm"` or a `RecurrentCell`, of encoder and decoder;
            that of the `DecoderCell` if one is given.
        tied: whether the output layer has the target embedding's matrix; see
            `RecurrentDecoder`.
        dropout: fraction dropped from the inputs of each layer and before the
            output layer, in training.
        **options: `encoder_units`, width of the encoder's state, of each
            direction, by default `units / 2` for a bidirectional encoder, else
            `units`; `bidirectional=True`, whether it reads from both ends;
            `bridge="dense"`, from its last states to the decoder's first, see
            `Bridge`; `context_dropout=0.0`, fraction dropped from its outputs,
            which attention reads, in training.

    Call args and Returns: see `EncoderDecoder`.

    Raises:
        ValueError: for options of a cell that is given as an object.

    Example:

    >>> model = RecurrentTranslator(60, 50, units=8, embedding_dim=6, layers=2, attention="luong")
    >>> model({"source": np.array([[5, 6, 7]]), "target": np.array([[2, 5]])}).shape
    TensorShape([1, 2, 50])

    Reference: Bahdanau et al. 2015; Luong et al. 2015.
    """

    presets = RECURRENT_PRESETS

    def __init__(
        self,
        source_vocabulary_size,
        target_vocabulary_size,
        units=512,
        embedding_dim=256,
        layers=1,
        residual=False,
        attention="bahdanau",
        attention_options=None,
        cell="gru",
        tied=True,
        dropout=0.2,
        **options,
    ):
        given, more = split_options(options, RECURRENT_OPTIONS)
        options = RECURRENT_OPTIONS | given
        policy = more.get("dtype")
        shared = {"layers": layers, "residual": residual, "embedding_dim": embedding_dim, "dropout": dropout}
        self._cell_is_given = isinstance(attention, DecoderCell)
        attention_options = self._checked_options(attention, attention_options)
        cell = attention.recurrence if self._cell_is_given else cell
        directions = 2 if options["bidirectional"] else 1
        encoder = RecurrentEncoder(
            source_vocabulary_size,
            options["encoder_units"] or units // directions,
            cell=cell,
            bidirectional=options["bidirectional"],
            output_dropout=options["context_dropout"],
            dtype=policy,
            name="encoder",
            **shared,
        )
        top = get_decoder_cell(attention, units, cell=cell, dtype=policy, **attention_options)
        others = {"bridge": options["bridge"], "tied": tied, "dtype": policy, "name": "decoder"}
        super().__init__(encoder, RecurrentDecoder(target_vocabulary_size, top, **others, **shared), **more)
        self.units = units
        self.attention_options = attention_options
        self._attention_name = None if self._cell_is_given else attention
        self.arguments = {
            "source_vocabulary_size": source_vocabulary_size,
            "target_vocabulary_size": target_vocabulary_size,
            "units": units,
            "attention_options": attention_options,
            "tied": tied,
            **shared,
            **options,
        }

    def _checked_options(self, attention, attention_options):
        if isinstance(attention, DecoderCell) and attention_options:
            raise ValueError(
                f"{type(self).__name__}: attention_options are for an attention that is given by name. Received "
                f"attention={attention!r} and attention_options={attention_options!r}. Give them to the cell."
            )
        return dict(attention_options or {})

    @property
    def attention(self):
        """Name of the attention, or the cell that was given."""
        return self.decoder.cell if self._cell_is_given else self._attention_name

    def get_config(self):
        return super().get_config() | {
            "attention": serialized(self.attention),
            "cell": serialized(self.encoder.cell),
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class GNMTTranslator(Sized, EncoderDecoder):
    """Google's neural machine translation system: a stack of which the bottom attends for all layers.

    The encoder's first layer reads from both ends, the others forwards. The
    bottom layer of the decoder attends; its context goes into the next step and
    into every layer above. Layers from the third on are residual. Each layer of
    the decoder starts from the last state of the encoder's layer beside it.

    Args:
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        units: width of all states; the encoder's first layer has two of them.
        embedding_dim: width of both embeddings. Defaults to `units`.
        layers: recurrent layers of the encoder, and of the decoder.
        context: see `GNMTCell`.
        cell: `"lstm"`, `"gru"` or a `RecurrentCell`.
        tied: see `RecurrentDecoder`.
        dropout: fraction dropped from the inputs of each layer and before the
            output layer, in training.
        context_dropout: fraction dropped from the encoder's outputs, which
            attention reads, in training.

    Call args and Returns: see `EncoderDecoder`.

    Example:

    >>> model = GNMTTranslator(60, 50, units=8, layers=3)
    >>> model({"source": np.array([[5, 6, 7]]), "target": np.array([[2, 5]])}).shape
    TensorShape([1, 2, 50])

    Reference: Wu et al. 2016, "Google's Neural Machine Translation System".
    """

    presets = GNMT_PRESETS

    def __init__(
        self,
        source_vocabulary_size,
        target_vocabulary_size,
        units=512,
        embedding_dim=None,
        layers=4,
        context="current",
        cell="lstm",
        tied=True,
        dropout=0.2,
        context_dropout=0.0,
        **kwargs,
    ):
        policy = kwargs.get("dtype")
        shared = {"embedding_dim": embedding_dim or units, "residual": True, "dropout": dropout, "dtype": policy}
        encoder = RecurrentEncoder(
            source_vocabulary_size,
            units,
            cell=cell,
            bidirectional="first",
            layers=layers,
            output_dropout=context_dropout,
            name="encoder",
            **shared,
        )
        bottom, *above = copies(cell, layers)
        cells = [
            GNMTCell(units, context=context, cell=bottom, dtype=policy),
            *(PlainCell(units, cell=kind, dtype=policy) for kind in above),
        ]
        decoder = RecurrentDecoder(
            target_vocabulary_size, cells, context_above=True, tied=tied, bridge="each", name="decoder", **shared
        )
        super().__init__(encoder, decoder, **kwargs)
        self.units = units
        self.arguments = {
            "source_vocabulary_size": source_vocabulary_size,
            "target_vocabulary_size": target_vocabulary_size,
            "units": units,
            "embedding_dim": embedding_dim,
            "layers": layers,
            "context": context,
            "tied": tied,
            "dropout": dropout,
            "context_dropout": context_dropout,
        }

    def get_config(self):
        return super().get_config() | {"cell": serialized(self.encoder.cell)}
