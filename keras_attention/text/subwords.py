"""Subword tokenizers: frequent words whole, rare ones in pieces, in graph.

`SentencePieceTokenizer` loses nothing: what it has no piece for goes byte by
byte. `WordPieceTokenizer` is tensorflow-text's own, and needs no other package.
"""

import collections
import functools
import io
import itertools
import pathlib
import re
import tempfile
from collections.abc import Iterable
from typing import Self

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from keras_attention.text.bpe_dropout import BpeDropout
from keras_attention.text.tokenizers import Tokenizer, one_line, some_texts, valid_utf8
from keras_attention.text.vocabulary import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNKNOWN_ID, Vocabulary

# U+2581, which stands for a space in a piece, becomes an underscore; no other character is changed.
_NORMALIZATION = "2581\t5F\n"
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
# What WordPiece would take for a special token or for what goes on within a word, and its mark.
_NO_ORDINARY_WORD = r"^(##|\\|" + "|".join(re.escape(token) for token in SPECIAL_TOKENS) + ")"
_VOCABULARY_BEGINS = "".join(f"{token}\n" for token in SPECIAL_TOKENS).encode()


class SentencePieceTokenizer(Tokenizer):
    """Byte-pair encoding by SentencePiece, with bytes for what has no piece.

    A piece that begins a word begins with U+2581, so a text's own U+2581 is
    read as an underscore. A line break is a space, runs of spaces count as one
    and those at the ends do not count; nothing else of a text is changed, so
    that the pieces of any line of single spaces give it back.

    Args:
        model: bytes of a SentencePiece model whose first four pieces are those
            of `SPECIAL_TOKENS`, as `train` makes it.
        file: path of a file with these bytes, which an export then carries as
            an asset.

    Raises:
        ValueError: for a model with other first pieces.

    Example:

    >>> tokenizer = SentencePieceTokenizer.train(["the cat", "the hat", "the bat"], vocabulary_size=277)
    >>> [piece.decode() for piece in tokenizer.tokenize(tf.constant(["the hat"])).to_list()[0]]
    ['▁the', '▁hat']
    >>> ids = tokenizer.encode(tf.constant(["the 🐈"]))
    >>> tokenizer.detokenize(ids.to_tensor()).numpy()[0].decode()
    'the 🐈'

    Reference: Sennrich et al. 2016, "Neural Machine Translation of Rare Words
        with Subword Units"; Kudo and Richardson 2018, "SentencePiece".
    """

    name = "sentencepiece"

    def __init__(self, model, file=None):
        self.model = model
        self.file = file
        with tf.init_scope():
            pieces = self._pieces.id_to_string(tf.range(self._pieces.vocab_size())).numpy()
        pieces = tuple(piece.decode("utf-8") for piece in pieces)
        if pieces[: len(SPECIAL_TOKENS)] != SPECIAL_TOKENS:
            raise ValueError(
                f"SentencePieceTokenizer: the model's first pieces must be {', '.join(SPECIAL_TOKENS)}. Received "
                f"{pieces[: len(SPECIAL_TOKENS)]}. Train it with `keras-attention vocabulary`, or with "
                "SentencePieceTokenizer.train."
            )
        super().__init__(Vocabulary(pieces[len(SPECIAL_TOKENS) :]))
        self.line_breaks = tuple(index for index, piece in enumerate(pieces) if piece in ("<0x0A>", "<0x0D>"))

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = 10_000, **options) -> Self:
        """A tokenizer of byte-pair encoding, trained by the `sentencepiece` package.

        Args:
            texts: strings to learn from; both languages' for a joint
                vocabulary.
            vocabulary_size: number of ids, with the four special tokens and
                the 256 bytes.
            **options: arguments of `sentencepiece.SentencePieceTrainer.train`.

        Raises:
            ImportError: without the `sentencepiece` package.
            ValueError: without a text, or if `vocabulary_size` does not suit
                the texts.
        """
        texts = [_LINE_BREAK.sub(" ", text) for text in some_texts(cls, texts)]
        sentencepiece = _sentencepiece()
        model = io.BytesIO()
        settings = {
            "model_type": "bpe",
            "byte_fallback": True,
            "character_coverage": 1.0,
            "num_threads": 1,  # more would make the vocabulary depend on the machine
            "minloglevel": 2,
        } | options
        for token, number in zip(("pad", "unk", "bos", "eos"), (PAD_ID, UNKNOWN_ID, START_ID, END_ID), strict=True):
            settings |= {f"{token}_id": number, f"{token}_piece": SPECIAL_TOKENS[number]}
        try:
            with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
                rules.write(_NORMALIZATION)
                rules.flush()
                sentencepiece.SentencePieceTrainer.train(
                    sentence_iterator=iter(texts),
                    model_writer=model,
                    vocab_size=vocabulary_size,
                    **{"normalization_rule_name": "user_defined", "normalization_rule_tsv": rules.name, **settings},
                )
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"SentencePieceTokenizer.train: vocabulary_size={vocabulary_size} does not suit these "
                f"{len(texts):,} texts: {error}"
            ) from error
        proto = sentencepiece.sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
        proto.normalizer_spec.ClearField("normalization_rule_tsv")  # the name of a file that is gone
        return cls(proto.SerializeToString(deterministic=True))

    @property
    def files(self):
        return () if self.file is None else (self.file,)

    def tokenize(self, text):
        return self._pieces.tokenize(one_line(text))

    def sample(self, texts, dropout, seed):
        """Ids of pieces from which merges were left out at random: BPE-dropout, to learn from.

        Args:
            texts: list of strings.
            dropout: probability that a merge is left out, each time it could
                be made. The paper's is 0.1.
            seed: random seed of the draws: the same in every process.

        Returns:
            `tf.RaggedTensor` of int32, `(texts, tokens)`.

        Raises:
            ValueError: if the model is none of byte-pair encoding.

        Reference: Provilkov et al. 2020, "BPE-Dropout: Simple and Effective
            Subword Regularization", 3.
        """
        texts = list(texts)
        some = texts[:100]
        if self._drawn(some, 0.0, 0).to_list() != self.encode(tf.constant(some, tf.string, [len(some)])).to_list():
            raise ValueError(
                "SentencePieceTokenizer.sample: merges can only be left out of a model of byte-pair encoding, as "
                "SentencePieceTokenizer.train makes it."
            )
        return self._drawn(texts, dropout, seed)

    def _drawn(self, texts, dropout, seed):
        words = [
            [f"▁{word}" for word in _LINE_BREAK.sub(" ", text).replace("▁", "_").split(" ") if word] for text in texts
        ]
        ids, lengths = self._bpe_dropout.draw(list(itertools.chain.from_iterable(words)), dropout, seed)
        of_texts = np.repeat(np.arange(len(texts)), [len(row) for row in words])
        row_lengths = np.bincount(of_texts, lengths, len(texts)).astype(np.int64)
        return tf.RaggedTensor.from_row_lengths(ids.astype(np.int32), row_lengths)

    @functools.cached_property
    def _bpe_dropout(self):
        ids = {token: index for index, token in enumerate(self.vocabulary.tokens)}
        bytes_of = [ids.get(f"<0x{byte:02X}>", UNKNOWN_ID) for byte in range(256)]
        not_merged = {*SPECIAL_TOKENS, *(self.vocabulary.tokens[index] for index in bytes_of)}
        return BpeDropout({token: index for token, index in ids.items() if token not in not_merged}, bytes_of)

    @property
    def first_texts(self):
        return [text.removeprefix(" ") for text in self.added_texts]

    def _added(self, token):
        return "" if re.fullmatch(r"<0x[0-9A-F]{2}>", token) else token.replace("▁", " ")

    def detokenize(self, ids):
        flat = tf.reshape(tf.cast(ids, tf.int32), [-1, tf.shape(ids)[-1]])
        return tf.reshape(
            self._pieces.detokenize(tf.ragged.boolean_mask(flat, self.vocabulary.before_end(flat))), tf.shape(ids)[:-1]
        )

    def write(self, file):
        pathlib.Path(file).write_bytes(self.model)

    @classmethod
    def of_file(cls, file):
        return cls(pathlib.Path(file).read_bytes(), file=str(pathlib.Path(file).absolute()))

    @classmethod
    def _file(cls, folder, side):
        return pathlib.Path(folder) / f"{side}.sentencepiece"

    @property
    def _pieces(self):
        # Made anew wherever it is used: one that is kept dies when `keras.utils.set_random_seed` empties TensorFlow's
        # caches, and in a graph the model then is part of the graph.
        return tf_text.SentencepieceTokenizer(self.model, out_type=tf.string)


def _sentencepiece():
    """The package, which only training a vocabulary needs."""
    try:
        import sentencepiece
        import sentencepiece.sentencepiece_model_pb2
    except ImportError as error:
        raise ImportError(
            "SentencePieceTokenizer.train: training a vocabulary needs the sentencepiece package: "
            "`pip install '.[translation]'` in a clone of the repository."
        ) from error
    return sentencepiece


class WordPieceTokenizer(Tokenizer):
    """WordPiece over words that are divided by spaces.

    Each word is cut, from its left, into the longest pieces of the vocabulary;
    a piece that goes on within a word begins with `##`. A word that holds a
    character never seen is unknown as a whole, so prefer
    `SentencePieceTokenizer` where nothing may be lost.

    A word that looks like a piece within a word, or begins like a special
    token, is a word: it is written with a backslash before it, `\\##`,
    `\\[END]`, and so is one that begins with a backslash. `detokenize` takes it
    away.

    Args:
        vocabulary: a `Vocabulary` of pieces.

    Example:

    >>> tokenizer = WordPieceTokenizer(Vocabulary(["the", "c", "##at", "##s"]))
    >>> tokens = tokenizer.tokenize(tf.constant(["the cats"]))
    >>> tokens.to_list()
    [[b'the', b'c', b'##at', b'##s']]
    >>> tokenizer.detokenize(tokenizer.ids(tokens).to_tensor()).numpy().tolist()
    [b'the cats']

    Reference: Wu et al. 2016, 4.1; Song et al. 2021, "Fast WordPiece
        Tokenization".
    """

    name = "wordpiece"

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = 10_000) -> Self:
        """A tokenizer trained by tensorflow-text's learner; its size comes close to what is asked for."""
        from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as learner

        counts = collections.Counter()
        for words in cls._words(tf.constant(some_texts(cls, texts))).to_list():
            counts.update(word.decode("utf-8") for word in words)
        pieces = learner.learn(
            counts.items(), vocabulary_size - len(SPECIAL_TOKENS), reserved_tokens=[], lower_thresh=2
        )
        return cls(Vocabulary(pieces))

    def tokenize(self, text):
        return self._pieces.tokenize(self._words(text)).merge_dims(-2, -1)

    @property
    def first_texts(self):
        return [text.removeprefix(" ") for text in self.added_texts]

    def _added(self, token):
        return token[2:] if token.startswith("##") else " " + token.removeprefix("\\")

    def detokenize(self, ids):
        joined = tf.strings.reduce_join(self.tokens(ids), axis=-1, separator=" ")
        joined = tf.strings.strip(tf.strings.regex_replace(joined, " ##", ""))
        return tf.strings.regex_replace(joined, r"(^| )\\", r"\1")

    @staticmethod
    def _words(text):
        """The words of each string, those that are no ordinary ones with a backslash before them."""
        words = tf.strings.split(valid_utf8(text))
        return tf.ragged.map_flat_values(tf.strings.regex_replace, words, _NO_ORDINARY_WORD, r"\\\1")

    @functools.cached_property
    def _pieces(self):
        with tf.init_scope():
            return tf_text.FastWordpieceTokenizer(
                list(self.vocabulary.tokens),
                token_out_type=tf.string,
                unknown_token=SPECIAL_TOKENS[UNKNOWN_ID],
                no_pretokenization=True,
            )


def subwords_of_file(file):
    """The subword tokenizer of a file that `write` wrote, of whichever kind.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file of another kind.
    """
    try:
        with open(file, "rb") as content:
            begin = content.read(len(_VOCABULARY_BEGINS))
        kind = WordPieceTokenizer if begin == _VOCABULARY_BEGINS else SentencePieceTokenizer
        return kind.of_file(file)
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{file} is neither a SentencePiece model nor a vocabulary of this library. Make one with "
            "`keras-attention vocabulary`."
        ) from error
