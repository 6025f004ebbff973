"""Strings to ids and back, in graph: normalisation, tokenizers, vocabulary."""

from keras_attention.text.patterns import PatternTokenizer
from keras_attention.text.pieces import PieceTokenizer
from keras_attention.text.subwords import SentencePieceTokenizer, WordPieceTokenizer, subwords_of_file
from keras_attention.text.tokenizers import CharacterTokenizer, Tokenizer, normalize
from keras_attention.text.vocabulary import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNKNOWN_ID, Vocabulary
from keras_attention.text.words import WordTokenizer

TOKENIZERS = {
    tokenizer.name: tokenizer
    for tokenizer in (
        CharacterTokenizer,
        PatternTokenizer,
        PieceTokenizer,
        SentencePieceTokenizer,
        WordPieceTokenizer,
        WordTokenizer,
    )
}

__all__ = [
    "END_ID",
    "PAD_ID",
    "SPECIAL_TOKENS",
    "START_ID",
    "TOKENIZERS",
    "UNKNOWN_ID",
    "CharacterTokenizer",
    "PatternTokenizer",
    "PieceTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "Vocabulary",
    "WordPieceTokenizer",
    "WordTokenizer",
    "normalize",
    "subwords_of_file",
]
