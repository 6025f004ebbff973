"""`keras.Model` subclasses: ids in, logits out; they know no strings."""

import keras  # noqa: F401 - first of all: it registers the other packages before this one goes on

from keras_attention.models.base import EncoderDecoder
from keras_attention.models.date_converter import DateConverter, VanillaSeq2Seq
from keras_attention.models.decoders import DecoderOutput, RecurrentDecoder
from keras_attention.models.encoders import EncoderOutput, RecurrentEncoder
from keras_attention.models.transformer import TransformerDecoder, TransformerEncoder
from keras_attention.models.translators import RecurrentTranslator, TransformerTranslator

__all__ = [
    "DateConverter",
    "DecoderOutput",
    "EncoderDecoder",
    "EncoderOutput",
    "RecurrentDecoder",
    "RecurrentEncoder",
    "RecurrentTranslator",
    "TransformerDecoder",
    "TransformerEncoder",
    "TransformerTranslator",
    "VanillaSeq2Seq",
]
