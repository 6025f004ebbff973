"""From strings to strings: tokenizer, model, search, detokenizer in one object.

`TextToText` is what users call, the command line runs and an export saves. The
line from string to string is written once, in `convert`, in graph.
"""

import functools
import json
import pathlib

import keras
import tensorflow as tf

import keras_attention.models  # noqa: F401  so that Keras finds the model's class in a saved file
from keras_attention.conversion import Converter
from keras_attention.decoding.loop import search
from keras_attention.decoding.strategies import Greedy, deserialize_strategy, serialize_strategy
from keras_attention.export.saved_converter import SavedConverter
from keras_attention.export.saved_model import export_saved_model
from keras_attention.text.tokenizers import CharacterTokenizer, before_end
from keras_attention.text.vocabulary import END_ID, PAD_ID, START_ID, UNKNOWN_ID, Vocabulary

_SETTINGS = "converter.json"
_MODEL = "model.keras"
_SOURCE_VOCABULARY = "source_vocabulary.txt"
_TARGET_VOCABULARY = "target_vocabulary.txt"


class TextToText(Converter):
    """Converts strings with an encoder-decoder.

    Args:
        model: an `EncoderDecoder`.
        source_tokenizer: of the input.
        target_tokenizer: of the result.
        strategy: how to search: `Greedy()` or `Beam(...)`.
        max_length: most tokens of a result.

    Call args:
        texts: a string, or a list, tuple, array or tensor of strings.
        batch_size: most strings that go through the model at once.

    Returns:
        A `Conversion` for one string, a list of them for several.

    Raises:
        ValueError: if a vocabulary and the model differ in size.
        TypeError: if there is anything but strings in `texts`.

    Example, with a model that is not trained yet:

    >>> tokenizer = CharacterTokenizer.train(["3 May 1979", "1979-05-03"])
    >>> size = len(tokenizer.vocabulary)
    >>> converter = TextToText(DateConverter(size, size), tokenizer, tokenizer, max_length=4)
    >>> conversion = converter("3 May")
    >>> conversion.source_tokens, conversion.weights.shape[1]
    (['3', ' ', 'M', 'a', 'y'], 5)
    """

    def __init__(self, model, source_tokenizer, target_tokenizer, strategy=Greedy(), max_length=64):
        for side, tokenizer in (("source", source_tokenizer), ("target", target_tokenizer)):
            expected = getattr(model, f"{side}_vocabulary_size")
            if len(tokenizer.vocabulary) != expected:
                raise ValueError(
                    f"TextToText: the model has {expected} {side} ids and the {side} vocabulary "
                    f"{len(tokenizer.vocabulary)}. They do not belong together: use the vocabulary that the model was "
                    "trained with."
                )
        self.model = model
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.strategy = strategy
        self.max_length = max_length

    def convert_batch(self, texts):
        """A list of strings to a dict of arrays, as the string signature gives them."""
        return {
            name: tensor.numpy()
            for name, tensor in self._compiled(tf.constant(texts, tf.string, shape=[len(texts)])).items()
        }

    def convert(self, text):
        """The whole line, in graph.

        Args:
            text: strings, `(batch,)`.

        Returns:
            Dict of `text` `(batch,)`, `log_prob` `(batch,)`, `tokens`
            `(batch, target)`, `source_tokens` `(batch, source)` and `weights`
            `(batch, target, source)`, padded with empty strings and zeros;
            also `n_best_text` and `n_best_log_prob` `(batch, n_best)` if the
            strategy returns more than one.
        """
        source_tokens = self.source_tokenizer.tokenize(text)
        source = _padded(self.source_tokenizer.ids(source_tokens), PAD_ID)
        memory, state = self.model.encode(source)
        found = search(
            self._step,
            memory,
            state,
            strategy=self.strategy,
            start=START_ID,
            end=END_ID,
            max_length=self.max_length + 1,
            forbidden=(PAD_ID, UNKNOWN_ID, START_ID),
        )
        live = before_end(found.ids[:, 0])
        weights = tf.ensure_shape(found.emissions[:, 0], [None, None, None])
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(live, tf.int32), axis=-1))
        texts = self.target_tokenizer.detokenize(found.ids)
        outputs = {
            "text": texts[:, 0],
            "log_prob": found.log_probs[:, 0],
            "tokens": self.target_tokenizer.tokens(found.ids[:, 0])[:, :longest],
            "source_tokens": _padded(source_tokens, ""),
            "weights": tf.where(live[:, :, None], weights, 0.0)[:, :longest],
        }
        if self.strategy.n_best > 1:
            outputs |= {"n_best_text": texts, "n_best_log_prob": found.log_probs}
        return outputs

    def save(self, folder):
        """Writes model, vocabularies and settings into a folder, for `load`.

        Args:
            folder: made if it is not there. Files of an earlier save are
                replaced.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / _MODEL)
        self.source_tokenizer.vocabulary.save(folder / _SOURCE_VOCABULARY)
        self.target_tokenizer.vocabulary.save(folder / _TARGET_VOCABULARY)
        settings = {"strategy": serialize_strategy(self.strategy), "max_length": self.max_length}
        (folder / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder, strategy=None):
        """Reads what `save` wrote.

        Args:
            folder: the folder given to `save`.
            strategy: another than the saved one.

        Raises:
            FileNotFoundError: if the folder holds no saved converter.
        """
        folder = pathlib.Path(folder)
        if not cls.is_saved_in(folder):
            raise FileNotFoundError(
                f"TextToText.load: {folder} holds no {_SETTINGS}. Give a folder that TextToText.save or "
                "`keras-attention train` wrote."
            )
        settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        return cls(
            keras.saving.load_model(folder / _MODEL, compile=False),
            CharacterTokenizer(Vocabulary.load(folder / _SOURCE_VOCABULARY)),
            CharacterTokenizer(Vocabulary.load(folder / _TARGET_VOCABULARY)),
            strategy=strategy or deserialize_strategy(settings["strategy"]),
            max_length=settings["max_length"],
        )

    @staticmethod
    def is_saved_in(folder):
        """Whether a folder holds what `save` writes."""
        return (pathlib.Path(folder) / _SETTINGS).is_file()

    def export(self, folder, examples=()):
        """Writes the next version of a SavedModel that takes strings.

        See `keras_attention.export.export_saved_model`.

        Args:
            folder: the model's folder; the version becomes a folder in it.
            examples: strings that the self-check converts beside its own.

        Returns:
            Path of the version folder.
        """
        return export_saved_model(self, folder, examples)

    def with_vocabulary_files(self, folder):
        """The same converter with vocabularies that are read from files in `folder`."""
        folder = pathlib.Path(folder)
        tokenizers = []
        for name, tokenizer in (
            (_SOURCE_VOCABULARY, self.source_tokenizer),
            (_TARGET_VOCABULARY, self.target_tokenizer),
        ):
            tokenizer.vocabulary.save(folder / name)
            tokenizers.append(type(tokenizer)(Vocabulary.load(folder / name)))
        return TextToText(self.model, *tokenizers, strategy=self.strategy, max_length=self.max_length)

    def _step(self, ids, memory, state):
        """One step of one id a row, for the search."""
        logits, state, weights = self.model.decode(ids[:, None], memory, state)
        return logits[:, 0], state, weights[:, 0]

    @functools.cached_property
    def _compiled(self):
        return tf.function(self.convert, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


def _padded(ragged, filler):
    """`(batch, longest)`, filled up; at least one long, so that a batch of empty strings has something to read."""
    tensor = ragged.to_tensor(filler)
    missing = tf.cast(tf.shape(tensor)[1] == 0, tf.int32)
    return tf.pad(tensor, [[0, 0], [0, missing]], constant_values=filler)


def load(folder):
    """A converter from disk, whichever of the two forms it is in.

    Args:
        folder: what `TextToText.save` wrote, or an exported model's folder or
            one of its versions.

    Returns:
        A `TextToText` or a `SavedConverter`; both are called with strings.

    Raises:
        FileNotFoundError: if the folder holds neither.
    """
    if TextToText.is_saved_in(folder):
        return TextToText.load(folder)
    if SavedConverter.is_export(folder):
        return SavedConverter(folder)
    raise FileNotFoundError(
        f"load: {folder} holds neither a saved converter nor an export. `keras-attention train` makes the first, "
        "`keras-attention export` the second."
    )
