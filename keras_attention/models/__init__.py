"""`keras.Model` subclasses: ids in, logits out; they know no strings."""

from keras_attention.models.base import EncoderDecoder
from keras_attention.models.date_converter import DateConverter, VanillaSeq2Seq
from keras_attention.models.decoders import DecoderOutput, RecurrentDecoder
from keras_attention.models.encoders import EncoderOutput, RecurrentEncoder

__all__ = [
    "DateConverter",
    "DecoderOutput",
    "EncoderDecoder",
    "EncoderOutput",
    "RecurrentDecoder",
    "RecurrentEncoder",
    "VanillaSeq2Seq",
]
