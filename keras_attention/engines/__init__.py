"""Models in the forms of other engines."""

from keras_attention.engines.ctranslate2 import export_ctranslate2

__all__ = ["export_ctranslate2"]
