"""The recipes that train a model from start to end, one for each kind of task.

The command line and the examples use them; a model of your own is trained with
plain `compile` and `fit`, as they do.
"""

import keras  # noqa: F401 - first of all: it registers the other packages before this one goes on

from keras_attention.recipes.answerer import train_answerer
from keras_attention.recipes.converter import train_converter, warmed_up_cosine
from keras_attention.recipes.machine import train_machine
from keras_attention.recipes.recommender import RECOMMENDERS, train_recommender
from keras_attention.recipes.translator import OPTIMIZERS, TRANSLATORS, make_translator, train_translator
from keras_attention.recipes.world_dates import train_world_dates

__all__ = [
    "OPTIMIZERS",
    "RECOMMENDERS",
    "TRANSLATORS",
    "make_translator",
    "train_answerer",
    "train_converter",
    "train_machine",
    "train_recommender",
    "train_translator",
    "train_world_dates",
    "warmed_up_cosine",
]
