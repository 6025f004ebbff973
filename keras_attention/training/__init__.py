"""Loss, metrics, optimizer, schedules and checkpoints; `fit` stays Keras'."""

import keras  # noqa: F401 - first of all: it registers the other packages before this one goes on

from keras_attention.training.checkpoints import Checkpoints, average_checkpoints
from keras_attention.training.objectives import ExactMatch, MaskedCrossentropy
from keras_attention.training.optimizers import Muon
from keras_attention.training.progress import Bleu, Throughput, Tokens, Validation
from keras_attention.training.schedules import InverseSquareRoot

__all__ = [
    "Bleu",
    "Checkpoints",
    "ExactMatch",
    "InverseSquareRoot",
    "MaskedCrossentropy",
    "Muon",
    "Throughput",
    "Tokens",
    "Validation",
    "average_checkpoints",
]
