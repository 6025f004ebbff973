"""Loss, metrics, schedules and checkpoints; `fit` stays Keras'."""

from keras_attention.training.checkpoints import Checkpoints, average_checkpoints
from keras_attention.training.objectives import ExactMatch, MaskedCrossentropy
from keras_attention.training.progress import Throughput, Tokens, Validation
from keras_attention.training.schedules import InverseSquareRoot

__all__ = [
    "Checkpoints",
    "ExactMatch",
    "InverseSquareRoot",
    "MaskedCrossentropy",
    "Throughput",
    "Tokens",
    "Validation",
    "average_checkpoints",
]
