"""Loss and metrics over padded targets; `fit` stays Keras'."""

from keras_attention.training.objectives import ExactMatch, MaskedCrossentropy

__all__ = ["ExactMatch", "MaskedCrossentropy"]
