"""The encoder-decoder: ids in, logits out, in two halves that meet in `call`.

Training calls the whole; search calls `encode` once and `decode` a step at a
time. The padding mask of the source is made here, once, and nowhere else.
"""

import keras

from keras_attention.layers.checked_inputs import ChecksInputs
from keras_attention.layers.masks import padding_mask


class EncoderDecoder(ChecksInputs, keras.Model):
    """Base of the models: an encoder, a decoder, and their meeting.

    A subclass sets `self.encoder` and `self.decoder` in its constructor and
    ends it with `self.build()`, so that its weights exist, and can be loaded
    or resumed, before it has seen data.

    Call args:
        inputs: dict of `source`, `(batch, source)` integers padded with 0, and
            `target`, `(batch, target)` integers padded with 0: the start id and
            all tokens but the last. Padding may stand anywhere.

    Returns:
        Logits `(batch, target, target_vocabulary)`; position `t` is for the
        token after `target[:, t]`.
    """

    def build(self, input_shape=None):
        """Creates all weights; the ids' shapes do not matter."""
        raise NotImplementedError(f"{type(self).__name__} must define build().")

    def encode(self, source, training=False):
        """The source's part of the work, done once.

        Args:
            source: `(batch, source)` integers, 0 where there is no token.
            training: whether to drop.

        Returns:
            `(memory, state)`, for `decode`.
        """
        mask = padding_mask(source)
        outputs, summary = self.encoder(source, mask=mask, training=training)
        return self.decoder.prepare(outputs, mask), self.decoder.start(summary)

    def decode(self, target, memory, state, mask=None, training=False, return_attention_scores=True, sharers=1):
        """Target steps, any number: `DecoderOutput(logits, state, weights)`.

        Args:
            target: `(rows, target)` integers.
            memory: from `encode`.
            state: from `encode`, or from the last call; of as many rows.
            mask: bool `(rows, target)`, True = a token; or None where all are,
                or where padding stands behind and nobody reads its logits.
            training: whether to drop.
            return_attention_scores: whether the weights are needed.
            sharers: rows for each row of the memory, one after another, such
                as the hypotheses of a search.
        """
        return self.decoder(
            target,
            memory,
            state,
            mask=mask,
            training=training,
            return_attention_scores=return_attention_scores,
            sharers=sharers,
        )

    def for_decoding(self):
        """A model that computes the same and decodes faster, with weights of its own; or this one."""
        return self

    def call(self, inputs, training=False):
        memory, state = self.encode(inputs["source"], training=training)
        target = inputs["target"]
        return self.decode(
            target, memory, state, mask=padding_mask(target), training=training, return_attention_scores=False
        ).logits
