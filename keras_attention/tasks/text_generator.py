"""From a prompt to what may follow it."""

from typing import ClassVar

import tensorflow as tf

from keras_attention.decoding.strategies import Greedy
from keras_attention.tasks.text import TextTask, check_vocabulary, mean_of_heads


class TextGenerator(TextTask):
    """Goes on with texts, by a language model.

    The tokens of a prompt are consumed together, in one call; then the search
    goes on token by token.

    Args:
        model: a `LanguageModel`.
        tokenizer: tokenizer of prompts and results.
        strategy: how to search: `Greedy()`, `Beam(...)` or `Sample(...)`.
        max_length: most tokens of a result, its end not counted. The
            `Conversion` says whether it ended by itself, or there.
        max_prompt_length: tokens of a prompt that are read, the last ones; None
            reads all.
        constraint: a `Constraint` of what a result may be; or None.

    Call args:
        texts: a prompt, or a list, tuple, array or tensor of prompts; an empty
            one leaves everything to the model.
        batch_size: most prompts that go through the model at once.

    Returns:
        A `Conversion` for one prompt, a list of them for several. Its `text`
        is what follows the prompt; its `source_tokens` are the start, the
        tokens of the prompt and those of the result, and its `weights` how much
        each token of the result attended to each of those before it, the mean
        over layers and heads; zeros of a model without attention.

    Raises:
        ValueError: if vocabulary and model differ in size, or for a strategy
            with a coverage penalty, since there is no source to cover.
        TypeError: if there is anything but strings in `texts`.

    Example, with a model that is not trained yet:

    >>> tokenizer = CharacterTokenizer.train(["hello"])
    >>> embedding = keras.layers.ReversibleEmbedding(len(tokenizer.vocabulary), 8)
    >>> model = LanguageModel(TransformerDecoder(embedding, 1, 2, 16, cross_attention=False))
    >>> result = TextGenerator(model, tokenizer, max_length=3)("hel")
    >>> result.source_tokens[:4], result.weights.shape[1] == 4 + len(result.tokens)
    (['[START]', 'h', 'e', 'l'], True)
    """

    sides: ClassVar = {"target": "tokenizer"}

    def __init__(self, model, tokenizer, strategy=Greedy(), max_length=64, max_prompt_length=None, constraint=None):
        check_vocabulary("TextGenerator", model.target_vocabulary_size, tokenizer, "target")
        if getattr(strategy, "coverage_penalty", 0.0):
            raise ValueError(
                f"TextGenerator: there is no source that a result could cover. Received {strategy}. Leave "
                "coverage_penalty at 0."
            )
        if max_prompt_length is not None and max_prompt_length < 1:
            raise ValueError(f"TextGenerator: max_prompt_length must be at least 1. Received {max_prompt_length}.")
        super().__init__(model, {"tokenizer": tokenizer}, tokenizer, strategy, max_length, constraint)
        self.max_prompt_length = max_prompt_length

    def compute(self, text):
        """The whole line, in graph.

        Args:
            text: prompts, `(batch,)`.

        Returns:
            Dict as that of `TextToText.compute`, of the names and shapes in the
            class' description.
        """
        vocabulary = self.tokenizer.vocabulary
        prompt = self.tokenizer.encode(text)
        if self.max_prompt_length is not None:
            prompt = prompt[:, -self.max_prompt_length :]
        marks = tf.fill([tf.shape(text)[0], 1], vocabulary.start_id)
        begun = tf.concat([marks, prompt], axis=1)
        memory, state = self.model.begin(tf.shape(text)[0])
        before = _padded_in_front(begun[:, :-1], vocabulary.pad_id)
        state = self.model.decode(
            before, memory, state, mask=before != vocabulary.pad_id, return_attention_scores=False
        ).state
        found = self._search(self._step, memory, state, begun[:, -1:].flat_values)
        generated = tf.RaggedTensor.from_tensor(found.ids[:, 0], padding=vocabulary.pad_id)
        every = tf.concat([begun, generated], axis=1)
        weights = self._weights(every, begun.row_lengths() - 1, tf.shape(found.ids)[2])
        texts = self._texts(prompt, found.ids)
        results = self._results(found.ids, texts, found.log_probs, found.finished, {"weights": weights})
        tokens = vocabulary.tokens_of(every)
        tokens = tf.ragged.boolean_mask(tokens, every != vocabulary.end_id)
        return results | {
            "source_tokens": tokens.to_tensor(""),
            "source_length": tf.cast(tokens.row_lengths(), tf.int32),
        }

    def _texts(self, prompt, ids):
        """What follows the prompt in each text, `(batch, n_best)`."""
        pad_id = self.tokenizer.vocabulary.pad_id
        begin = tf.strings.length(self.tokenizer.detokenize(prompt.to_tensor(pad_id)))
        texts = []
        for rank in range(self.strategy.n_best):
            every = tf.concat([prompt, tf.RaggedTensor.from_tensor(ids[:, rank], padding=pad_id)], axis=1)
            whole = self.tokenizer.detokenize(every.to_tensor(pad_id))
            length = tf.strings.length(whole)
            texts.append(tf.strings.substr(whole, tf.minimum(begin, length), length))
        return tf.stack(texts, axis=1)

    def _weights(self, every, first, length):
        """How much each of `length` tokens, made at `first` and after it, attended to what there was: one call.

        Args:
            every: ids of the start, the prompt and the result, ragged.
            first: `(batch,)`, where the first token of the result was made.
            length: a scalar.
        """
        ids = every.to_tensor(self.tokenizer.vocabulary.pad_id)
        memory, state = self.model.begin(tf.shape(ids)[0])
        mask = ids != self.tokenizer.vocabulary.pad_id
        weights = self.model.decode(ids, memory, state, mask=mask).weights
        weights = mean_of_heads(weights, first=2)
        if weights.shape[-1] == 0:  # of a model without attention
            weights = tf.zeros([tf.shape(ids)[0], tf.shape(ids)[1], tf.shape(ids)[1]], weights.dtype)
        rows = tf.minimum(first[:, None] + tf.range(length, dtype=first.dtype), tf.shape(ids, first.dtype)[1] - 1)
        weights = tf.gather(tf.cast(weights, tf.float32), rows, batch_dims=1)
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(mask & (ids != self.tokenizer.vocabulary.end_id), tf.int32), 1))
        return tf.ensure_shape(weights[:, :, :longest], [None, None, None])

    @property
    def settings(self):
        return super().settings | {"max_prompt_length": self.max_prompt_length}

    def _step(self, ids, memory, state):
        """One step of one id a row, for the search."""
        logits, state, _ = self.model.decode(
            ids[:, None], memory, state, return_attention_scores=False, sharers=self.strategy.width
        )
        return logits[:, 0], state, tf.zeros([tf.shape(ids)[0], 1])


def _padded_in_front(ragged, filler):
    """`(batch, longest)`, so that all rows end together."""
    dense = ragged.to_tensor(filler)
    return tf.reverse(tf.reverse_sequence(dense, ragged.row_lengths(), seq_axis=1), axis=[1])
