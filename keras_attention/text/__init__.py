"""Strings to ids and back, in graph: normalisation, tokenizers, vocabulary."""

from keras_attention.text.subwords import SentencePieceTokenizer, WordPieceTokenizer, subwords_of_file
from keras_attention.text.tokenizers import CharacterTokenizer, Tokenizer, normalize
from keras_attention.text.vocabulary import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNKNOWN_ID, Vocabulary

TOKENIZERS = {
    tokenizer.name: tokenizer for tokenizer in (CharacterTokenizer, SentencePieceTokenizer, WordPieceTokenizer)
}

__all__ = [
    "END_ID",
    "PAD_ID",
    "SPECIAL_TOKENS",
    "START_ID",
    "TOKENIZERS",
    "UNKNOWN_ID",
    "CharacterTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "Vocabulary",
    "WordPieceTokenizer",
    "normalize",
    "subwords_of_file",
]
