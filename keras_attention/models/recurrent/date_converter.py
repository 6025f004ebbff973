"""Models at character level: short strings to short strings, dates above all."""

import keras

from keras_attention.models.recurrent.translators import RecurrentTranslator


@keras.saving.register_keras_serializable(package="keras_attention")
class DateConverter(RecurrentTranslator):
    """A recurrent encoder-decoder for strings of up to a few dozen characters.

    A `RecurrentTranslator` of one layer in the sizes of short strings, whose
    decoder reads all steps in parallel.

    Args:
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        units: width of the decoder's state.
        embedding_dim: width of both embeddings.
        attention: `"bahdanau"`, `"luong"`, None or a `DecoderCell`.
        attention_options: further arguments of that cell. Luong's has no input
            feeding unless `{"input_feeding": True}` asks for it.
        dropout: fraction dropped in training.
        **kwargs: others of `RecurrentTranslator`.

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
        embedding_dim=32,
        attention="luong",
        attention_options=None,
        dropout=0.0,
        tied=False,
        **kwargs,
    ):
        options = dict(attention_options or {})
        super().__init__(
            source_vocabulary_size,
            target_vocabulary_size,
            units=units,
            embedding_dim=embedding_dim,
            attention=attention,
            attention_options={"input_feeding": False, **options} if attention == "luong" else options,
            dropout=dropout,
            tied=tied,
            **kwargs,
        )


@keras.saving.register_keras_serializable(package="keras_attention")
class VanillaSeq2Seq(DateConverter):
    """The baseline without attention: the source must fit into one vector.

    `DateConverter` with `attention=None`; it shows what attention is for.

    Args:
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        attention: None.
        **kwargs: others of `DateConverter`.

    Example:

    >>> VanillaSeq2Seq(60, 15).decoder.cell.attention is None
    True

    Reference: Sutskever et al. 2014; Cho et al. 2014.
    """

    def __init__(self, source_vocabulary_size, target_vocabulary_size, attention=None, **kwargs):
        if attention is not None:
            raise ValueError(
                f"VanillaSeq2Seq: attention must be None. Received {attention!r}. DateConverter takes one."
            )
        super().__init__(source_vocabulary_size, target_vocabulary_size, attention=None, **kwargs)
