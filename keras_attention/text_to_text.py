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
from keras_attention.decoding.strategies import Greedy, Sample, deserialize_strategy, serialize_strategy
from keras_attention.export.saved_converter import SavedConverter
from keras_attention.export.saved_model import export_saved_model
from keras_attention.text import TOKENIZERS
from keras_attention.text.tokenizers import before_end
from keras_attention.text.vocabulary import END_ID, PAD_ID, START_ID, UNKNOWN_ID

_SETTINGS = "converter.json"
_MODEL = "model.keras"
_SIDES = ("source", "target")


class TextToText(Converter):
    """Converts strings with an encoder-decoder.

    Args:
        model: an `EncoderDecoder`.
        source_tokenizer: of the input.
        target_tokenizer: of the result.
        strategy: how to search: `Greedy()`, `Beam(...)` or `Sample(...)`.
        max_length: most tokens of a result.
        max_source_length: tokens of a source that are read; the rest is cut
            off, and the `Conversion` says so. None reads all.
        head_weights: whether to return the weights of each layer and head
            beside their mean, for models that have several.

    Call args:
        texts: a string, or a list, tuple, array or tensor of strings.
        batch_size: most strings that go through the model at once.
        prefix: what each result must begin with: a string for all texts, or
            one for each; None leaves them free.

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

    def __init__(
        self,
        model,
        source_tokenizer,
        target_tokenizer,
        strategy=Greedy(),
        max_length=64,
        max_source_length=None,
        head_weights=False,
    ):
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
        self.max_source_length = max_source_length
        self.head_weights = head_weights

    def convert_batch(self, texts, prefixes=None):
        """A list of strings to a dict of arrays, as the string signature gives them."""
        strings = [tf.constant(side, tf.string, shape=[len(texts)]) for side in (texts, prefixes) if side is not None]
        compiled = self._compiled if prefixes is None else self._compiled_with_prefix
        return {name: tensor.numpy() for name, tensor in compiled(*strings).items()}

    def convert(self, text, prefix=None):
        """The whole line, in graph.

        Args:
            text: strings, `(batch,)`.
            prefix: what each result must begin with, `(batch,)`; or None.

        Returns:
            Dict of `text` `(batch,)`, `log_prob` `(batch,)`, `tokens`
            `(batch, target)`, `source_tokens` `(batch, source)`,
            `source_length` `(batch,)`, which counts those that were cut off
            too, and `weights` `(batch, target, source)`, the mean over layers
            and heads; padded with empty strings and zeros. Also `n_best_text`
            and `n_best_log_prob` `(batch, n_best)` if the strategy returns
            more than one, and `head_weights`
            `(batch, target, layers, heads, source)` if they are asked for. A
            text without a token becomes an empty one.
        """
        source_tokens = self.source_tokenizer.tokenize(text)
        source_length = tf.cast(source_tokens.row_lengths(), tf.int32)
        if self.max_source_length is not None:
            source_tokens = source_tokens[:, : self.max_source_length]
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
            prefix=None if prefix is None else self.target_tokenizer.encode(prefix).to_tensor(PAD_ID),
        )
        empty = source_length[:, None] == 0
        ids = tf.where(empty[:, :, None], END_ID, found.ids)
        log_probs = tf.where(empty & tf.math.is_finite(found.log_probs), 0.0, found.log_probs)
        live = before_end(ids[:, 0])
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(live, tf.int32), axis=-1))
        weights = tf.where(live[:, :, None], self._mean_weights(found.emissions[:, 0]), 0.0)
        texts = self.target_tokenizer.detokenize(ids)
        outputs = {
            "text": texts[:, 0],
            "log_prob": log_probs[:, 0],
            "tokens": self.target_tokenizer.tokens(ids[:, 0])[:, :longest],
            "source_tokens": _padded(source_tokens, ""),
            "source_length": source_length,
            "weights": weights[:, :longest],
        }
        if self.strategy.n_best > 1:
            outputs |= {"n_best_text": texts, "n_best_log_prob": log_probs}
        if self.head_weights:
            outputs["head_weights"] = self._head_weights(found.emissions[:, 0], live)[:, :longest]
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
        for side, tokenizer in self.tokenizers.items():
            tokenizer.save(folder, side)
        settings = {
            "tokenizers": {
                side: {"name": tokenizer.name, "fingerprint": tokenizer.vocabulary.fingerprint}
                for side, tokenizer in self.tokenizers.items()
            },
            "strategy": serialize_strategy(self.strategy),
            "max_length": self.max_length,
            "max_source_length": self.max_source_length,
        }
        (folder / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder, strategy=None, head_weights=False):
        """Reads what `save` wrote.

        Args:
            folder: the folder given to `save`.
            strategy: another than the saved one.
            head_weights: see the constructor.

        Raises:
            FileNotFoundError: if the folder holds no saved converter, or half
                of one.
            ValueError: if its vocabulary and its model differ in size.
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
            *(_load_tokenizer(folder, side, **settings["tokenizers"][side]) for side in _SIDES),
            strategy=strategy or deserialize_strategy(settings["strategy"]),
            max_length=settings["max_length"],
            max_source_length=settings["max_source_length"],
            head_weights=head_weights,
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
        if isinstance(self.strategy, Sample):
            raise ValueError(
                "TextToText.export: what is drawn at random depends on the call and the batch, so an export of it "
                "cannot be checked. Use Greedy() or Beam(...)."
            )
        return export_saved_model(self, folder, examples)

    @property
    def tokenizers(self):
        """The two tokenizers by their side."""
        return dict(zip(_SIDES, (self.source_tokenizer, self.target_tokenizer), strict=True))

    def for_export(self, folder):
        """The same with tokenizers that are read from files in `folder`, and the model that decodes fastest."""
        tokenizers = []
        for side, tokenizer in self.tokenizers.items():
            tokenizer.save(folder, side)
            tokenizers.append(type(tokenizer).load(folder, side))
        return TextToText(
            self.model.for_decoding(),
            *tokenizers,
            self.strategy,
            self.max_length,
            self.max_source_length,
            self.head_weights,
        )

    def _step(self, ids, memory, state):
        """One step of one id a row, for the search."""
        logits, state, weights = self.model.decode(tf.expand_dims(ids, 1), memory, state, sharers=self.strategy.width)
        logits, weights = (tf.squeeze(tensor, 1) for tensor in (logits, weights))
        return logits, state, weights if self.head_weights else _mean_of_heads(weights)

    def _mean_weights(self, emissions):
        """`(batch, target, source)`, of what the steps put out."""
        return tf.ensure_shape(_mean_of_heads(emissions, first=2), [None, None, None])

    def _head_weights(self, emissions, live):
        """`(batch, target, layers, heads, source)`, of what the steps put out."""
        if emissions.shape.rank == 3:
            emissions = emissions[:, :, None, None]
        return tf.where(live[:, :, None, None, None], emissions, 0.0)

    @functools.cached_property
    def _compiled(self):
        return tf.function(self.convert, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)

    @functools.cached_property
    def _compiled_with_prefix(self):
        return tf.function(self.convert, input_signature=[tf.TensorSpec([None], tf.string)] * 2, autograph=False)


def _load_tokenizer(folder, side, name, fingerprint):
    tokenizer = TOKENIZERS[name].load(folder, side)
    if tokenizer.vocabulary.fingerprint != fingerprint:
        raise ValueError(
            f"TextToText.load: the {side} vocabulary in {folder} is not the one that the model was saved with, so its "
            "ids mean other tokens. Put the file back that belongs to it."
        )
    return tokenizer


def _mean_of_heads(weights, first=1):
    """The mean over the axes from `first` to the last but one; there may be none."""
    axes = list(range(first, weights.shape.rank - 1))
    return tf.reduce_mean(weights, axis=axes) if axes else weights


def _padded(ragged, filler):
    """`(batch, longest)`, filled up; at least one long, so that a batch of empty strings has something to read."""
    tensor = ragged.to_tensor(filler)
    missing = tf.cast(tf.shape(tensor)[1] == 0, tf.int32)
    return tf.pad(tensor, [[0, 0], [0, missing]], constant_values=filler)


def load(folder, strategy=None):
    """A converter from disk, whichever of the two forms it is in.

    Args:
        folder: what `TextToText.save` wrote, or an exported model's folder or
            one of its versions.
        strategy: how to search, instead of the saved one. An export's is fixed.

    Returns:
        A `TextToText` or a `SavedConverter`; both are called with strings.

    Raises:
        FileNotFoundError: if the folder holds neither.
        ValueError: for a strategy to an export.
    """
    if TextToText.is_saved_in(folder):
        return TextToText.load(folder, strategy)
    if SavedConverter.is_export(folder):
        if strategy is not None:
            raise ValueError(
                f"load: the search of an export is fixed, and {folder} is one. Received {strategy}. Load the folder "
                "that `keras-attention train` left, or export it with another strategy."
            )
        return SavedConverter(folder)
    raise FileNotFoundError(
        f"load: {folder} holds neither a saved converter nor an export. `keras-attention train` makes the first, "
        "`keras-attention export` the second."
    )
