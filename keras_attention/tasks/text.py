"""What the tasks of strings share: tokenizers, a search, and what becomes of what it found.

A result is a text, its log-probability, its tokens, and how much each of them
attended to each token that it was made from; see `Conversion`.
"""

import dataclasses
import functools
import os
import pathlib
from typing import ClassVar

import tensorflow as tf

from keras_attention.conversion import Converter
from keras_attention.decoding.constraint import Constraint
from keras_attention.decoding.loop import search
from keras_attention.decoding.shortlist import SPECIAL_IDS
from keras_attention.decoding.strategies import Sample, deserialize_strategy, serialize_strategy
from keras_attention.export.saved_converter import SavedConverter
from keras_attention.tasks.task import Task
from keras_attention.text import TOKENIZERS


class TextTask(Converter, Task):
    """Base of the tasks that search for a string.

    A subclass defines `compute`, and says in `sides` which of its constructor's
    arguments are tokenizers.

    Args:
        model: a model with `decode`, and a `decoder` that reads ids.
        tokenizers: the tokenizers, by the argument of the constructor.
        target_tokenizer: the one of the result.
        strategy: how to search: `Greedy()`, `Beam(...)` or `Sample(...)`.
        max_length: most tokens of a result, its end not counted. A result that
            did not end by itself has so many, and is not `finished`.
        constraint: a `Constraint` of what a result may be; or None.
    """

    # The names under which tokenizers are saved: the arguments that they were given as.
    sides: ClassVar = {}
    input_specs: ClassVar = {"text": tf.TensorSpec([None], tf.string)}
    saved_class = SavedConverter

    def __init__(self, model, tokenizers, target_tokenizer, strategy, max_length, constraint=None):
        super().__init__(model)
        self.constraint = Constraint.from_config(constraint) if isinstance(constraint, dict) else constraint
        for name, tokenizer in tokenizers.items():
            setattr(self, name, tokenizer)
        self._target_tokenizer = target_tokenizer
        self.strategy = strategy
        self.max_length = max_length

    @property
    def keeps_spaces(self):
        """Whether a result has every space of the target that it learned."""
        return self._target_tokenizer.keeps_spaces

    @property
    def identity(self):
        return super().identity | {"keeps_spaces": self.keeps_spaces}

    @property
    def tokenizers(self):
        """The tokenizers by their side."""
        return {side: getattr(self, name) for side, name in self.sides.items()}

    def convert_batch(self, texts, **more):
        """A list of strings, and of what else each has, to a dict of arrays, as the string signature gives them."""
        if "prefix" in more:
            self._check_prefixes(more["prefix"])
        return self.run(text=texts, **more)

    def _check_prefixes(self, prefixes):
        """Raises a ValueError for a prefix that no result can begin with."""
        tokenizer = self._target_tokenizer
        tokens = tokenizer.tokenize(tf.constant(prefixes))
        for prefix, row, ids in zip(prefixes, tokens.to_list(), tokenizer.ids(tokens).to_list(), strict=True):
            begin = f"{type(self).__name__}: no result can begin with the prefix {prefix.decode(errors='replace')!r}"
            unknown = [token.decode() for token, id in zip(row, ids, strict=True) if id in self._forbidden]
            if unknown:
                raise ValueError(f"{begin}: the vocabulary of results does not have {', '.join(map(repr, unknown))}.")
            if len(ids) > self.max_length:
                raise ValueError(
                    f"{begin} of {len(ids)} tokens: a result has at most {self.max_length}. Shorten the prefix, or "
                    "give the task a larger max_length."
                )

    @property
    def _forbidden(self):
        """Ids that no result may hold."""
        return self._target_tokenizer.forbidden

    def _search(self, step, memory, state, start, prefix=None, number_of=None):
        """What `search` finds of a text, the special tokens aside.

        Args:
            step, memory, state, start, prefix: see `search`.
            number_of: the number of an id in a `Shortlist`; None where ids are
                their own numbers.
        """
        strategy, forbidden = self.strategy, self._forbidden
        if number_of is not None:
            forbidden = [index for index in forbidden if index < SPECIAL_IDS]
            if strategy.rules is not None:
                strategy = dataclasses.replace(strategy, rules=strategy.rules.renumbered(number_of))
        vocabulary = self._target_tokenizer.vocabulary
        return search(
            step,
            memory,
            state,
            strategy=strategy,
            start=start,
            end=vocabulary.end_id,
            max_length=self.max_length + 1,
            forbidden=forbidden,
            prefix=prefix,
            constraint=self._tables,
        )

    @functools.cached_property
    def _tables(self):
        if self.constraint is None:
            return None
        tokenizer = self._target_tokenizer
        return self.constraint.over(tokenizer.added_texts, tokenizer.vocabulary.end_id, tokenizer.first_texts)

    def _results(self, ids, texts, log_probs, finished, weights):
        """Of the hypotheses of each item, `(batch, n_best, length)`, best first, what every signature has.

        Args:
            ids: `(batch, n_best, length)`.
            texts: `(batch, n_best)`.
            log_probs: `(batch, n_best)`.
            finished: `(batch, n_best)`.
            weights: dict of `(batch, length, ...)`, of the best.

        Returns:
            Dict; what is of tokens is cut off behind the longest of the best.
        """
        live = self._target_tokenizer.vocabulary.before_end(ids[:, 0])
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(live, tf.int32), axis=-1))
        outputs = {
            "text": texts[:, 0],
            "log_prob": log_probs[:, 0],
            "finished": finished[:, 0],
            "tokens": self._target_tokenizer.tokens(ids[:, 0])[:, :longest],
        }
        for name, values in weights.items():
            mask = tf.reshape(live, tf.concat([tf.shape(live), tf.ones([values.shape.rank - 2], tf.int32)], axis=0))
            outputs[name] = tf.where(mask, values, 0.0)[:, :longest]
        if self.strategy.n_best > 1:
            outputs |= {"n_best_text": texts, "n_best_log_prob": log_probs}
        return outputs

    @property
    def settings(self):
        return {
            "tokenizers": {side: described_tokenizer(tokenizer) for side, tokenizer in self.tokenizers.items()},
            "strategy": serialize_strategy(self.strategy),
            "max_length": self.max_length,
            **({} if self.constraint is None else {"constraint": self.constraint.get_config()}),
        }

    def save_files(self, folder):
        for side, tokenizer in self.tokenizers.items():
            tokenizer.save(folder, side)

    @classmethod
    def load_files(cls, folder, settings):
        tokenizers = {
            cls.sides[side]: load_tokenizer(cls.__name__, folder, side, **saved)
            for side, saved in settings["tokenizers"].items()
        }
        others = {name: value for name, value in settings.items() if name != "tokenizers"}
        return tokenizers | others | {"strategy": deserialize_strategy(settings["strategy"])}

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

    def export(self, folder: str | os.PathLike, examples=()) -> pathlib.Path:
        if isinstance(self.strategy, Sample):
            raise ValueError(
                f"{type(self).__name__}.export: what is drawn at random depends on the call and the batch, so an "
                "export of it cannot be checked. Use Greedy() or Beam(...)."
            )
        return super().export(folder, examples)

    @property
    def tables(self):
        return [tokenizer.vocabulary.resource for tokenizer in self.tokenizers.values()]

    @property
    def files(self):
        return [file for tokenizer in self.tokenizers.values() for file in tokenizer.files]

    def for_export(self, folder):
        """The same with tokenizers that are read from files in `folder`, and the model that decodes fastest."""
        self.save_files(folder)
        settings = self.load_files(folder, self.settings)
        return type(self)(self.model.for_decoding(), **settings)


def described_tokenizer(tokenizer):
    """What the settings of a task have of a tokenizer."""
    return {"name": tokenizer.name, "fingerprint": tokenizer.vocabulary.fingerprint} | tokenizer.settings


def load_tokenizer(owner, folder, side, name, fingerprint, **settings):
    """The tokenizer that `described_tokenizer` described, from the file that its `save` wrote.

    Raises:
        ValueError: if the file is another tokenizer's.
    """
    # Before there was a choice, characters were those of the normal form.
    earlier = {"normalization": "NFKC"} if name == "characters" else {}
    tokenizer = TOKENIZERS[name].load(folder, side, **(earlier | settings))
    if tokenizer.vocabulary.fingerprint != fingerprint:
        raise ValueError(
            f"{owner}.load: the {side} vocabulary in {folder} is not the one that the model was saved with, so its ids "
            "mean other tokens. Put the file back that belongs to it."
        )
    return tokenizer


def check_vocabulary(owner, model_size, tokenizer, side):
    """Raises a ValueError unless a vocabulary has as many ids as the model."""
    if len(tokenizer.vocabulary) != model_size:
        raise ValueError(
            f"{owner}: the model has {model_size} {side} ids and the {side} vocabulary {len(tokenizer.vocabulary)}. "
            "They do not belong together: use the vocabulary that the model was trained with."
        )


def mean_of_heads(weights, first=1):
    """The mean over the axes from `first` to the last but one; there may be none."""
    axes = list(range(first, weights.shape.rank - 1))
    return tf.reduce_mean(weights, axis=axes) if axes else weights


def padded(ragged, filler):
    """`(batch, longest)`, filled up; at least one long, so that a batch of empty strings has something to read."""
    tensor = ragged.to_tensor(filler)
    missing = tf.cast(tf.shape(tensor)[1] == 0, tf.int32)
    return tf.pad(tensor, [[0, 0], [0, missing]], constant_values=filler)
