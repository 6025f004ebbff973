"""`keras.Model` subclasses: ids in, logits out; they know no strings."""

import keras  # noqa: F401 - first of all: it registers the other packages before this one goes on

from keras_attention.models.base import EncoderDecoder, LanguageModel
from keras_attention.models.date_converter import DateConverter, VanillaSeq2Seq
from keras_attention.models.decoders import Decoder, DecoderOutput, RecurrentDecoder
from keras_attention.models.encoders import Encoder, EncoderOutput, RecurrentEncoder
from keras_attention.models.forecasters import RecurrentForecaster, SeriesToSeries, TransformerForecaster
from keras_attention.models.transformer import TransformerDecoder, TransformerEncoder
from keras_attention.models.translators import GNMTTranslator, RecurrentTranslator, TransformerTranslator

__all__ = [
    "DateConverter",
    "Decoder",
    "DecoderOutput",
    "Encoder",
    "EncoderDecoder",
    "EncoderOutput",
    "GNMTTranslator",
    "LanguageModel",
    "RecurrentDecoder",
    "RecurrentEncoder",
    "RecurrentForecaster",
    "RecurrentTranslator",
    "SeriesToSeries",
    "TransformerDecoder",
    "TransformerEncoder",
    "TransformerForecaster",
    "TransformerTranslator",
    "VanillaSeq2Seq",
]
