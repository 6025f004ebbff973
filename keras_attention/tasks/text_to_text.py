"""From strings to strings: tokenizer, model, search, detokenizer in one object.

`TextToText` is what users call, the command line runs and an export saves. The
line from string to string is written once, in `compute`, in graph.
"""

import copy
import os
from typing import ClassVar, Self

import tensorflow as tf

from keras_attention.decoding.strategies import Greedy
from keras_attention.export.signature import TEXT_ONLY
from keras_attention.tasks.text import TextTask, check_vocabulary, mean_of_heads, padded

_OF_TEXT = ("text", "log_prob", "finished", "n_best_text", "n_best_log_prob")


class TextToText(TextTask):
    """Converts strings with an encoder-decoder.

    Args:
        model: an `EncoderDecoder`.
        source_tokenizer: tokenizer of the input.
        target_tokenizer: tokenizer of the result.
        strategy: how to search: `Greedy()`, `Beam(...)` or `Sample(...)`.
        max_length: most tokens of a result, its end not counted. The
            `Conversion` says whether it ended by itself, or there.
        max_source_length: tokens of a source that are read; the rest is cut
            off, and the `Conversion` says so. None reads all.
        head_weights: whether to return the weights of each layer and head
            beside their mean, for models that have several.
        constraint: a `Constraint` of what a result may be, such as
            `Constraint.from_regex(r"\\d{4}-\\d\\d-\\d\\d")`; or None.

    Call args:
        texts: a string, or a list, tuple, array or tensor of strings.
        batch_size: most strings that go through the model at once.
        prefix: what each result must begin with: a string for all texts, or
            one for each; None leaves them free.

    Returns:
        A `Conversion` for one string, a list of them for several.

    Raises:
        ValueError: if a vocabulary and the model differ in size, or for a
            prefix that no result can begin with.
        TypeError: if there is anything but strings in `texts`.

    Example, with a model that is not trained yet:

    >>> tokenizer = CharacterTokenizer.train(["3 May 1979", "1979-05-03"])
    >>> size = len(tokenizer.vocabulary)
    >>> converter = TextToText(DateConverter(size, size), tokenizer, tokenizer, max_length=4)
    >>> conversion = converter("3 May")
    >>> conversion.source_tokens, conversion.weights.shape[1]
    (['3', ' ', 'M', 'a', 'y'], 5)
    """

    sides: ClassVar = {"source": "source_tokenizer", "target": "target_tokenizer"}
    optional_specs: ClassVar = {"prefix": tf.TensorSpec([None], tf.string)}

    def __init__(
        self,
        model,
        source_tokenizer,
        target_tokenizer,
        strategy=Greedy(),
        max_length=64,
        max_source_length=None,
        head_weights=False,
        constraint=None,
    ):
        check_vocabulary("TextToText", model.source_vocabulary_size, source_tokenizer, "source")
        check_vocabulary("TextToText", model.target_vocabulary_size, target_tokenizer, "target")
        tokenizers = {"source_tokenizer": source_tokenizer, "target_tokenizer": target_tokenizer}
        super().__init__(model, tokenizers, target_tokenizer, strategy, max_length, constraint)
        self.max_source_length = max_source_length
        self.head_weights = head_weights
        self._only_text = False

    def compute(self, text, prefix=None):
        """The whole line, in graph.

        Args:
            text: strings, `(batch,)`.
            prefix: what each result must begin with, `(batch,)`; or None.

        Returns:
            Dict of `text` `(batch,)`, `log_prob` `(batch,)`, `finished`
            `(batch,)`, `tokens` `(batch, target)`, `source_tokens` `(batch, source)`,
            `source_length` `(batch,)`, which counts those that were cut off
            too, and `weights` `(batch, target, source)`, the mean over layers
            and heads; padded with empty strings and zeros. Also `n_best_text`
            and `n_best_log_prob` `(batch, n_best)` if the strategy returns
            more than one, and `head_weights`
            `(batch, target, layers, heads, source)` if they are asked for. A
            text without a token becomes an empty one.
        """
        vocabulary = self.target_tokenizer.vocabulary
        source_tokens = self.source_tokenizer.tokenize(text)
        source_length = tf.cast(source_tokens.row_lengths(), tf.int32)
        if self.max_source_length is not None:
            source_tokens = source_tokens[:, : self.max_source_length]
        source = padded(self.source_tokenizer.ids(source_tokens), self.source_tokenizer.vocabulary.pad_id)
        if prefix is not None:
            prefix = self.target_tokenizer.encode(prefix).to_tensor(vocabulary.pad_id)
        found = self._search(self._step, *self.model.encode(source), vocabulary.start_id, prefix)
        empty = source_length[:, None] == 0
        ids = tf.where(empty[:, :, None], vocabulary.end_id, found.ids)
        log_probs = tf.where(empty & tf.math.is_finite(found.log_probs), 0.0, found.log_probs)
        emissions = found.emissions[:, 0]
        weights = {"weights": tf.ensure_shape(mean_of_heads(emissions, first=2), [None, None, None])}
        if self.head_weights:
            weights["head_weights"] = emissions[:, :, None, None] if emissions.shape.rank == 3 else emissions
        texts = self.target_tokenizer.detokenize(ids)
        results = self._results(ids, texts, log_probs, found.finished | empty, weights)
        if self._only_text:
            return {name: results[name] for name in _OF_TEXT if name in results}
        return results | {"source_tokens": padded(source_tokens, ""), "source_length": source_length}

    @property
    def signatures(self):
        """Of an export: `compute`, and `text_only`, which gives no tokens and computes no weights."""
        only_text = copy.copy(self)
        only_text._only_text = True
        return super().signatures | {TEXT_ONLY: only_text.compute}

    @property
    def settings(self):
        return super().settings | {"max_source_length": self.max_source_length}

    @classmethod
    def load(cls, folder: str | os.PathLike, strategy=None, head_weights: bool = False) -> Self:
        """Reads what `save` wrote.

        Args:
            folder: the folder given to `save`.
            strategy: another than the saved one.
            head_weights: see the constructor.
        """
        return super().load(folder, head_weights=head_weights, **({} if strategy is None else {"strategy": strategy}))

    def for_export(self, folder):
        exported = super().for_export(folder)
        exported.head_weights = self.head_weights
        return exported

    def _step(self, ids, memory, state):
        """One step of one id a row, for the search."""
        logits, state, weights = self.model.decode(tf.expand_dims(ids, 1), memory, state, sharers=self.strategy.width)
        logits, weights = (tf.squeeze(tensor, 1) for tensor in (logits, weights))
        if self._only_text and not self.strategy.coverage_penalty:
            return logits, state, logits[:, :0]  # nothing is put out, so that nothing is kept
        return logits, state, weights if self.head_weights else mean_of_heads(weights)
