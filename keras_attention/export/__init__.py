"""SavedModels with a typed signature: written, checked, loaded."""

from keras_attention.export.saved_converter import SavedConverter
from keras_attention.export.saved_model import ExportError, export_saved_model
from keras_attention.export.saved_task import SavedTask, versions

__all__ = ["ExportError", "SavedConverter", "SavedTask", "export_saved_model", "versions"]
