"""From strings to strings: tokenizer, model, search, detokenizer in one object.

`TextToText` is what users call, the command line runs and an export saves. The
line from string to string is written once, in `compute`, in graph.
"""

from typing import ClassVar

import tensorflow as tf

from keras_attention.conversion import Converter
from keras_attention.decoding.loop import search
from keras_attention.decoding.strategies import Greedy, Sample, deserialize_strategy, serialize_strategy
from keras_attention.export.saved_converter import SavedConverter
from keras_attention.tasks.task import Task
from keras_attention.text import TOKENIZERS
from keras_attention.text.tokenizers import before_end
from keras_attention.text.vocabulary import END_ID, PAD_ID, START_ID, UNKNOWN_ID

_SIDES = ("source", "target")


class TextToText(Converter, Task):
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
        super().__init__(model)
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.strategy = strategy
        self.max_length = max_length
        self.max_source_length = max_source_length
        self.head_weights = head_weights

    input_specs: ClassVar = {"text": tf.TensorSpec([None], tf.string)}
    optional_specs: ClassVar = {"prefix": tf.TensorSpec([None], tf.string)}
    saved_class = SavedConverter

    def convert_batch(self, texts, prefixes=None):
        """A list of strings to a dict of arrays, as the string signature gives them."""
        return self.run(text=texts, **({} if prefixes is None else {"prefix": prefixes}))

    def compute(self, text, prefix=None):
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

    @property
    def settings(self):
        return {
            "tokenizers": {
                side: {"name": tokenizer.name, "fingerprint": tokenizer.vocabulary.fingerprint}
                for side, tokenizer in self.tokenizers.items()
            },
            "strategy": serialize_strategy(self.strategy),
            "max_length": self.max_length,
            "max_source_length": self.max_source_length,
        }

    def save_files(self, folder):
        for side, tokenizer in self.tokenizers.items():
            tokenizer.save(folder, side)

    @classmethod
    def load_files(cls, folder, settings):
        tokenizers = {
            f"{side}_tokenizer": _load_tokenizer(folder, side, **saved)
            for side, saved in settings["tokenizers"].items()
        }
        others = {name: value for name, value in settings.items() if name != "tokenizers"}
        return tokenizers | others | {"strategy": deserialize_strategy(settings["strategy"])}

    @classmethod
    def load(cls, folder, strategy=None, head_weights=False):
        """Reads what `save` wrote.

        Args:
            folder: the folder given to `save`.
            strategy: another than the saved one.
            head_weights: see the constructor.
        """
        return super().load(folder, head_weights=head_weights, **({} if strategy is None else {"strategy": strategy}))

    def checks(self, examples=()):
        """One string, several lengths together, none, a long one, other scripts, broken bytes; and the examples."""
        batches = [
            [b"Tuesday, September 25, 1984"],
            [b"3 May 1979", b"", b" ", b"2/10/93", "2014年10月7日 🗓".encode(), b"\xff\xfe1"],
            [b""],
            [b"0123456789 " * 100],
            [text.encode("utf-8") for text in examples],
        ]
        return [{"text": batch} for batch in batches if batch]

    def export(self, folder, examples=()):
        if isinstance(self.strategy, Sample):
            raise ValueError(
                "TextToText.export: what is drawn at random depends on the call and the batch, so an export of it "
                "cannot be checked. Use Greedy() or Beam(...)."
            )
        return super().export(folder, examples)

    @property
    def tokenizers(self):
        """The two tokenizers by their side."""
        return dict(zip(_SIDES, (self.source_tokenizer, self.target_tokenizer), strict=True))

    @property
    def tables(self):
        return [tokenizer.vocabulary.resource for tokenizer in self.tokenizers.values()]

    @property
    def files(self):
        return [file for tokenizer in self.tokenizers.values() for file in tokenizer.files]

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
