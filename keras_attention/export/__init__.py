"""SavedModels with a string signature: written, checked, loaded."""

from keras_attention.export.saved_converter import SavedConverter, versions
from keras_attention.export.saved_model import ExportError, export_saved_model

__all__ = ["ExportError", "SavedConverter", "export_saved_model", "versions"]
