"""Attention layers for Keras 3, and the sequence-to-sequence models they make.

Names are imported when they are first used, so that the command line can answer
before TensorFlow is there. As soon as both this package and Keras are imported,
in whatever order, every layer and model is too, so that Keras can load files
that hold one.
"""

import importlib
import sys

__version__ = "0.1.0"

# Public name: the module that defines it.
_PUBLIC = {
    "Attention": "layers",
    "AttentionPooling": "layers",
    "AttentionRNN": "layers",
    "BahdanauAttention": "layers",
    "BahdanauCell": "layers",
    "DecoderBlock": "layers",
    "EncoderBlock": "layers",
    "LearnedPositions": "layers",
    "LocalAttention": "layers",
    "LocationAttention": "layers",
    "LuongAttention": "layers",
    "LuongCell": "layers",
    "MonotonicAttention": "layers",
    "MultiHeadAttention": "layers",
    "MultiHeadSelfAttention": "layers",
    "PlainCell": "layers",
    "PositionalEncoding": "layers",
    "causal_mask": "layers",
    "combine_masks": "layers",
    "padding_mask": "layers",
    "window_mask": "layers",
    "DateConverter": "models",
    "EncoderDecoder": "models",
    "GNMTTranslator": "models",
    "LanguageModel": "models",
    "MemoryNetwork": "models",
    "RecurrentForecaster": "models",
    "SASRec": "models",
    "RecurrentTranslator": "models",
    "TransformerForecaster": "models",
    "TransformerTranslator": "models",
    "VanillaSeq2Seq": "models",
    "Beam": "decoding",
    "Greedy": "decoding",
    "Sample": "decoding",
    "CharacterTokenizer": "text",
    "SentencePieceTokenizer": "text",
    "WordPieceTokenizer": "text",
    "WordTokenizer": "text",
    "DateReader": "tasks",
    "Forecaster": "tasks",
    "QuestionAnswerer": "tasks",
    "Recommender": "tasks",
    "Task": "tasks",
    "TextGenerator": "tasks",
    "TextToText": "tasks",
    "load": "tasks",
    "plot_attention": "visualization",
}
_SUBPACKAGES = (
    "bleu",
    "data",
    "dates",
    "decoding",
    "export",
    "layers",
    "models",
    "pretrained",
    "recipes",
    "serving",
    "tasks",
    "testing",
    "text",
    "training",
    "visualization",
)

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    if name in _PUBLIC:
        _register()
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, *_SUBPACKAGES])


def _register():
    """Makes all that Keras may find in a file known to it."""
    for package in ("layers", "models", "training"):
        importlib.import_module(f"{__name__}.{package}")


class _WhenKerasIsImported:
    """A finder of modules that registers as soon as Keras has been imported, by whomever.

    If one of our own packages imports it, as the first thing that it does, the
    others are imported before that one goes on.
    """

    def find_spec(self, name, path, target=None):
        if name != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            self._register_after(spec.loader)
        return spec

    def _register_after(self, loader):
        execute = loader.exec_module

        def exec_module(module):
            del loader.exec_module
            execute(module)
            sys.meta_path.remove(self)
            _register()

        loader.exec_module = exec_module


if "keras" in sys.modules:
    _register()
else:
    sys.meta_path.insert(0, _WhenKerasIsImported())
