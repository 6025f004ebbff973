"""From strings to strings: tokenizer, model, search, detokenizer in one object.

`TextToText` is what users call, the command line runs and an export saves. The
line from string to string is written once, in `compute`, in graph.
"""

import copy
import functools
import os
from typing import ClassVar, Self

import tensorflow as tf

from keras_attention.conversion import Score
from keras_attention.data.batches import shifted
from keras_attention.decoding.shortlist import SPECIAL_IDS
from keras_attention.decoding.strategies import Greedy
from keras_attention.export.signature import TEXT_ONLY
from keras_attention.importers import import_checkpoint
from keras_attention.models.ensemble import Ensemble
from keras_attention.tasks.precision import in_dtype
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
        shortlist: a `Shortlist` of the tokens that a source can lead to, which
            alone are chosen from; None chooses from all. It is not saved, and
            goes into an export.

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
        shortlist=None,
    ):
        check_vocabulary("TextToText", model.source_vocabulary_size, source_tokenizer, "source")
        check_vocabulary("TextToText", model.target_vocabulary_size, target_tokenizer, "target")
        tokenizers = {"source_tokenizer": source_tokenizer, "target_tokenizer": target_tokenizer}
        super().__init__(model, tokenizers, target_tokenizer, strategy, max_length, constraint)
        self.max_source_length = max_source_length
        self.head_weights = head_weights
        self.shortlist = shortlist
        self._only_text = False
        if shortlist is not None:
            self._check_shortlist()

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
        read = self._encoded(text)
        if prefix is not None:
            prefix = self.target_tokenizer.encode(prefix).to_tensor(vocabulary.pad_id)
        found = self._found(read, prefix)
        source_length = read["source_length"]
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
        return results | {name: read[name] for name in ("source_tokens", "source_length")}

    @functools.cached_property
    def _encoded(self):
        """What comes before the search: a function of strings, once in a graph however often it is called there."""

        def encoded(text):
            tokens = self.source_tokenizer.tokenize(text)
            source_length = tf.cast(tokens.row_lengths(), tf.int32)
            tokens, source = self._read(tokens)
            memory, state = self.model.encode(source)
            return {
                "source_tokens": padded(tokens, ""),
                "source_length": source_length,
                "source": source,
                "memory": memory,
                "state": state,
            }

        return tf.function(encoded, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)

    def _read(self, tokens):
        """The tokens of sources that are read, ragged, and their ids, padded."""
        if self.max_source_length is not None:
            tokens = self.source_tokenizer.cut(tokens, self.max_source_length)
        return tokens, padded(self.source_tokenizer.ids(tokens), self.source_tokenizer.vocabulary.pad_id)

    def _found(self, read, prefix):
        """What the search finds for what `_encoded` gave, among all tokens or those of the shortlist."""
        vocabulary = self.target_tokenizer.vocabulary
        source, memory, state = (read[name] for name in ("source", "memory", "state"))
        if self.shortlist is None:
            return self._search(self._step, memory, state, vocabulary.start_id, prefix)
        rules = self.strategy.rules
        shortlist = self.shortlist if rules is None else self.shortlist.with_always(rules.ids)
        never = [*self._forbidden, *(() if rules is None else rules.barred)]
        ids = shortlist.ids_of(source, len(vocabulary), prefix, [index for index in never if index >= SPECIAL_IDS])
        columns = self.model.output_columns(ids)
        if prefix is not None:
            prefix = shortlist.numbers_of(prefix, ids, len(vocabulary))

        def step(numbers, memory, state):
            return self._step(tf.gather(ids, numbers), memory, state, columns)

        found = self._search(step, memory, state, vocabulary.start_id, prefix, shortlist.number_of)
        return found._replace(ids=tf.gather(ids, found.ids))

    def with_shortlist(self, shortlist):
        """The same, choosing among the tokens of a `Shortlist`."""
        changed = self._changed(shortlist=shortlist)
        changed._check_shortlist()
        return changed

    def together_with(self, others):
        """A translator whose probabilities are the means of this one's and others'.

        Args:
            others: list of `TextToText`s with the same vocabularies. The result
                is decoded as this one is.

        Raises:
            ValueError: for other vocabularies.
        """
        for side, name in self.sides.items():
            own = getattr(self, name).vocabulary
            if any(getattr(other, name).vocabulary.tokens != own.tokens for other in others):
                raise ValueError(f"TextToText: runs that translate together must have the same {side} vocabulary.")
        return self._changed(model=Ensemble([self.model, *(other.model for other in others)]))

    def with_dtype(self, dtype):
        """The same, whose Transformer keeps its weights in another dtype, such as `"bfloat16"`, and computes in it."""
        return self._changed(model=in_dtype(self.model, dtype))

    def with_strategy(self, strategy):
        """The same, searching in another way."""
        return self._changed(strategy=strategy)

    def _changed(self, **attributes):
        changed = copy.copy(self)
        for made in ("_compiled", "_scored", "_encoded"):  # for what has changed
            vars(changed).pop(made, None)
        vars(changed).update(attributes)
        return changed

    def _check_shortlist(self):
        if self.constraint is not None:
            raise ValueError("TextToText: a constraint and a shortlist do not go together. Leave one of them out.")
        ids = {index for row in (*self.shortlist.rows, self.shortlist.always) for index in row}
        sizes = (self.model.source_vocabulary_size, self.model.target_vocabulary_size)
        if len(self.shortlist.rows) != sizes[0] or max(ids) >= sizes[1]:
            raise ValueError(
                f"TextToText: the shortlist must have a row for each of the {sizes[0]} source ids, of target ids below "
                f"{sizes[1]}. Received {len(self.shortlist.rows)} rows, of ids up to {max(ids)}."
            )

    @property
    def signatures(self):
        """Of an export: `compute`, and `text_only`, which gives no tokens and computes no weights."""
        only_text = self._changed(_only_text=True)
        only_text._encoded = self._encoded
        return super().signatures | {TEXT_ONLY: only_text.compute}

    def score(self, pairs, batch_size=64):
        """The log-probability that the model gives to each target, its end included.

        Args:
            pairs: list of `(source, target)`.
            batch_size: most pairs that go through the model at once.

        Returns:
            List of `Score(log_prob, tokens)`.
        """
        order = sorted(range(len(pairs)), key=lambda index: len(pairs[index][1]))
        scores = [None] * len(pairs)
        for begin in range(0, len(pairs), batch_size):
            rows = order[begin : begin + batch_size]
            sources, targets = zip(*(pairs[row] for row in rows), strict=True)
            log_probs, counts = (tensor.numpy() for tensor in self._scored(tf.constant(sources), tf.constant(targets)))
            for row, log_prob, count in zip(rows, log_probs, counts, strict=True):
                scores[row] = Score(float(log_prob), int(count))
        return scores

    @functools.cached_property
    def _scored(self):
        def scored(sources, targets):
            vocabulary = self.target_tokenizer.vocabulary
            _, source = self._read(self.source_tokenizer.tokenize(sources))
            inputs, target = shifted(self.target_tokenizer.encode(targets), vocabulary)
            counts, target = target.row_lengths(), target.to_tensor(vocabulary.pad_id)
            inputs = inputs.to_tensor(vocabulary.pad_id)
            logits = self.model({"source": source, "target": inputs}, training=False)
            log_probs = tf.gather(tf.nn.log_softmax(tf.cast(logits, tf.float32)), target, batch_dims=2)
            return tf.reduce_sum(tf.where(target == vocabulary.pad_id, 0.0, log_probs), axis=1), counts

        string = tf.TensorSpec([None], tf.string)
        return tf.function(scored, input_signature=[string, string], autograph=False)

    @property
    def settings(self):
        return super().settings | {"max_source_length": self.max_source_length}

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike,
        source_language: str | None = None,
        target_language: str | None = None,
        architecture: str | None = None,
        **options,
    ) -> Self:
        """A translator that others have trained and published.

        Args:
            folder: a folder as a hub has it, with `config.json`, weights, and
                vocabularies; the folder of a project's own files; or the name of
                one on Hugging Face's, if the `huggingface_hub` package is there.
            source_language, target_language: codes, for a model of several
                languages; see docs/published.md.
            architecture: `"marian"`, `"m2m100"`, `"nllb"` or `"mbart"`, if only
                that will do; None takes what `config.json` says.
                `"tutorial-transformer"` and `"keras-recurrent"` are models of
                projects of their own, whose folders have no such file.
            **options: decoding options, by their names in `generation_config.json`,
                such as `num_beams=1`, instead of the ones there; and options of an
                architecture, such as `num_heads`; see docs/published.md.

        Raises:
            FileNotFoundError: for a folder or a file that is missing.
            ValueError: for a model or an option that is not supported.
        """
        imported = import_checkpoint(
            folder,
            architecture,
            source_language=source_language,
            target_language=target_language,
            **options,
        )
        return cls(**imported._asdict())

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
        exported.shortlist = self.shortlist
        return exported

    def _step(self, ids, memory, state, columns=None):
        """One step of one id a row, for the search."""
        logits, state, weights = self.model.decode(
            tf.expand_dims(ids, 1), memory, state, sharers=self.strategy.width, columns=columns
        )
        logits, weights = (tf.squeeze(tensor, 1) for tensor in (logits, weights))
        if self._only_text and not self.strategy.coverage_penalty:
            return logits, state, logits[:, :0]  # nothing is put out, so that nothing is kept
        return logits, state, weights if self.head_weights else mean_of_heads(weights)
