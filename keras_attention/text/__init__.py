"""Strings to ids and back, in graph: normalisation, tokenizers, vocabulary."""

from keras_attention.text.tokenizers import CharacterTokenizer, normalize
from keras_attention.text.vocabulary import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNKNOWN_ID, Vocabulary

__all__ = [
    "END_ID",
    "PAD_ID",
    "SPECIAL_TOKENS",
    "START_ID",
    "UNKNOWN_ID",
    "CharacterTokenizer",
    "Vocabulary",
    "normalize",
]
