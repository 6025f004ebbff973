"""Attention layers for Keras 3, and the sequence-to-sequence models they make.

Names are imported when they are first used, so that the command line can answer
before TensorFlow is there. Where Keras is there already, or once a name is used,
every layer and model is imported, so that Keras can load files that hold one.
"""

import importlib
import sys

__version__ = "0.1.0"

# Public name: the module that defines it.
_PUBLIC = {
    "Attention": "layers",
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
    "RecurrentTranslator": "models",
    "TransformerTranslator": "models",
    "VanillaSeq2Seq": "models",
    "Beam": "decoding",
    "Greedy": "decoding",
    "Sample": "decoding",
    "CharacterTokenizer": "text",
    "SentencePieceTokenizer": "text",
    "WordPieceTokenizer": "text",
    "TextToText": "text_to_text",
    "load": "text_to_text",
    "plot_attention": "visualization",
}
_SUBPACKAGES = (
    "bleu",
    "data",
    "decoding",
    "export",
    "layers",
    "models",
    "recipes",
    "serving",
    "testing",
    "text",
    "text_to_text",
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


if "keras" in sys.modules:
    _register()
