"""Pieces of SentencePiece whose ids are those of a vocabulary beside it, as published translators have them."""

import pathlib

import tensorflow as tf
import tensorflow_text as tf_text

from keras_attention.text.framed import FramedTokenizer, tokens_where
from keras_attention.text.tokenizers import valid_utf8
from keras_attention.text.vocabulary import Vocabulary

# `>>fra<<` at the beginning of a text: the language that it is to be translated to.
_CODE = r"^>>.*?<<"


class PieceTokenizer(FramedTokenizer):
    """Pieces of a SentencePiece model, looked up in a vocabulary by their strings.

    `SentencePieceTokenizer` takes its ids from its model; this one is for
    checkpoints whose model and vocabulary are two files, in which a piece may
    have no id, and tokens that are no pieces have one, such as those that name a
    language.

    Args:
        vocabulary: a `Vocabulary`.
        model: bytes of the SentencePiece model.
        before: tokens that stand before every text, such as its language.
        behind: tokens that stand behind every text that is not empty, such as
            `"[END]"`.
        codes: whether a text may begin with the token of a language, in double
            angle brackets, as `">>fra<< Good morning"`; it then takes the place
            of `before`.
        silent: tokens that add nothing to a text.
        file: path of a file with the model's bytes, which an export then
            carries as an asset.

    Raises:
        ValueError: for a token before or behind that the vocabulary lacks.

    Example:

    >>> model = SentencePieceTokenizer.train(["the cat", "the hat", "the bat"], vocabulary_size=277).model
    >>> tokenizer = PieceTokenizer(Vocabulary([">>fra<<", "▁hat", "▁the"]), model, behind=["[END]"], codes=True)
    >>> tokens = tokenizer.tokenize(tf.constant([">>fra<< the hat"]))
    >>> [token.decode() for token in tokens.to_list()[0]], tokenizer.ids(tokens).to_list()
    (['>>fra<<', '▁the', '▁hat', '[END]'], [[4, 6, 5, 3]])
    >>> tokenizer.detokenize(tf.constant([[6, 5, 3]])).numpy()[0].decode()
    'the hat'
    """

    name = "pieces"

    def __init__(self, vocabulary, model, before=(), behind=(), codes=False, silent=(), file=None):
        super().__init__(vocabulary, before, behind, silent)
        self.model = model
        self.codes = codes
        self.file = file

    @property
    def settings(self):
        return super().settings | {"codes": self.codes}

    @property
    def files(self):
        return () if self.file is None else (self.file,)

    def tokenize(self, text):
        text = valid_utf8(text)
        code = tf.zeros_like(text)
        if self.codes:
            code = tf.strings.regex_replace(text, f"(?s)({_CODE}).*|.*", r"\1", replace_global=False)
            text = tf.strings.regex_replace(text, _CODE, "", replace_global=False)
        pieces = tf_text.SentencepieceTokenizer(self.model, out_type=tf.string).tokenize(text)
        some = pieces.row_lengths() > 0
        begin = []
        if self.codes:
            has_code = some & (code != "")
            given = tf.gather(code, tf.where(has_code)[:, 0])
            begin.append(tf.RaggedTensor.from_row_lengths(given, tf.cast(has_code, tf.int64), validate=False))
        before = tokens_where(some & (code == ""), self.before)
        return tf.concat([*begin, *before, pieces, *tokens_where(some, self.behind)], axis=1)

    def detokenize(self, ids):
        texts = tf.where(self.vocabulary.before_end(ids), tf.gather(tf.constant(self.added_texts), ids), "")
        return tf.strings.strip(tf.strings.reduce_join(texts, axis=-1))

    @property
    def first_texts(self):
        return [text.removeprefix(" ") for text in self.added_texts]

    def _added(self, token):
        return "" if token in self.silent else token.replace("▁", " ")

    def save(self, folder, side):
        super().save(folder, side)
        self._model_file(folder, side).write_bytes(self.model)

    @classmethod
    def load(cls, folder, side, **settings):
        file = cls._model_file(folder, side)
        return cls(Vocabulary.load(cls._file(folder, side)), file.read_bytes(), file=str(file.absolute()), **settings)

    @staticmethod
    def _model_file(folder, side):
        return pathlib.Path(folder) / f"{side}_pieces.sentencepiece"
