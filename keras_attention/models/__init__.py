"""`keras.Model` subclasses: ids or floats in, logits or floats out; they know no strings."""

import keras  # noqa: F401 - first of all: it registers the other packages before this one goes on

from keras_attention.models.base import EncoderDecoder, LanguageModel
from keras_attention.models.memory_network import MemoryNetwork
from keras_attention.models.parts import Decoder, DecoderOutput, Encoder, EncoderOutput, mean_summary
from keras_attention.models.recommendation_model import RecommendationModel
from keras_attention.models.recommenders import DeepInterestNetwork, ProfileRecommender, SASRec
from keras_attention.models.recurrent.date_converter import DateConverter, VanillaSeq2Seq
from keras_attention.models.recurrent.decoder import RecurrentDecoder
from keras_attention.models.recurrent.encoder import RecurrentEncoder
from keras_attention.models.recurrent.forecaster import RecurrentForecaster
from keras_attention.models.recurrent.translators import GNMTTranslator, RecurrentTranslator
from keras_attention.models.series import SeriesToSeries
from keras_attention.models.transformer.forecaster import TransformerForecaster
from keras_attention.models.transformer.stacks import TransformerDecoder, TransformerEncoder
from keras_attention.models.transformer.translator import TransformerTranslator

__all__ = [
    "DateConverter",
    "Decoder",
    "DecoderOutput",
    "DeepInterestNetwork",
    "Encoder",
    "EncoderDecoder",
    "EncoderOutput",
    "GNMTTranslator",
    "LanguageModel",
    "MemoryNetwork",
    "ProfileRecommender",
    "RecommendationModel",
    "RecurrentDecoder",
    "RecurrentEncoder",
    "RecurrentForecaster",
    "RecurrentTranslator",
    "SASRec",
    "SeriesToSeries",
    "TransformerDecoder",
    "TransformerEncoder",
    "TransformerForecaster",
    "TransformerTranslator",
    "VanillaSeq2Seq",
    "mean_summary",
]
