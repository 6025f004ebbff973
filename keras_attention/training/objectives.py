"""Loss and metrics over padded targets: a label of 0 never counts."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_attention")
class MaskedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits, in nats a token, averaged over the tokens.

    Unlike `keras.losses.SparseCategoricalCrossentropy(ignore_class=0)` it
    divides by the number of tokens, not of positions, so that the loss does not
    depend on how a batch is padded.

    Args:
        label_smoothing: epsilon, taken from the right token and spread evenly
            over all `V` of the vocabulary, `epsilon / V` each, as in Fairseq
            and Keras; Tensor2Tensor and the Annotated Transformer leave out
            one and two of them.
        name: of the loss.

    Call args:
        y_true: labels `(batch, target)`, 0 where there is no token.
        y_pred: logits `(batch, target, vocabulary)`.

    Returns:
        A scalar.

    Example: two tokens of even odds, and one position of padding.

    >>> loss = MaskedCrossentropy()(np.array([[1, 1, 0]]), np.zeros((1, 3, 2)))
    >>> round(float(loss), 4)
    0.6931

    Reference: Szegedy et al. 2016, "Rethinking the Inception Architecture for
        Computer Vision", 7, for label smoothing; Vaswani et al. 2017, 5.4.
    """

    def __init__(self, label_smoothing=0.0, name="crossentropy", **kwargs):
        super().__init__(name=name, reduction=None, **{key: kwargs[key] for key in kwargs if key == "dtype"})
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                f"MaskedCrossentropy: label_smoothing must lie between 0 and 1. Received {label_smoothing!r}."
            )
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        live = ops.cast(ops.not_equal(y_true, 0), "float32")
        losses = self._losses(y_true, ops.cast(y_pred, "float32"))
        return ops.sum(losses * live) / ops.maximum(ops.sum(live), 1.0)

    def _losses(self, labels, logits):
        vocabulary, smoothing = logits.shape[-1], self.label_smoothing
        rows = ops.reshape(logits, (-1, vocabulary))
        return ops.reshape(_crossentropy(rows, ops.reshape(labels, (-1,)), smoothing), ops.shape(labels))

    def get_config(self):
        return {"label_smoothing": self.label_smoothing, "name": self.name}


def _crossentropy(logits, labels, smoothing):
    """Of each row; the gradient is written down, since a large vocabulary makes every pass over the logits dear.

    With `p` the softmax: `log_sum_exp - (1 - smoothing) logits[label] - smoothing mean(logits)`, whose gradient is
    `p - (1 - smoothing) one_hot(label) - smoothing / vocabulary`.
    """
    vocabulary = logits.shape[-1]
    labels = ops.cast(labels, "int32")

    @ops.custom_gradient
    def losses(logits):
        probabilities = ops.softmax(logits, axis=-1)
        # The largest probability is at least 1 / vocabulary: its logarithm is safe.
        log_sum_exp = ops.max(logits, axis=-1) - ops.log(ops.max(probabilities, axis=-1))
        right = ops.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]
        value = log_sum_exp - (1.0 - smoothing) * right
        if smoothing:
            value = value - smoothing * ops.mean(logits, axis=-1)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            rows = ops.arange(ops.shape(labels)[0], dtype="int32")
            spread = (probabilities - smoothing / vocabulary) if smoothing else probabilities
            places = ops.stack([rows, labels], axis=1)
            return ops.scatter_update(
                spread * upstream[:, None],
                places,
                (ops.take_along_axis(spread, labels[:, None], -1)[:, 0] - (1.0 - smoothing)) * upstream,
            )

        return value, gradient

    return losses(logits)


@keras.saving.register_keras_serializable(package="keras_attention")
class ExactMatch(keras.metrics.Mean):
    """Fraction of targets of which every token is predicted.

    With the right tokens given, every prediction is right exactly if a greedy
    search without them gives the target, so this is the accuracy of greedy
    conversion, measured while training runs.

    Args:
        name: of the metric.

    Example:

    >>> metric = ExactMatch()
    >>> metric.update_state(np.array([[1, 0], [1, 1]]), np.array([[[0, 1], [0, 1]], [[0, 1], [1, 0]]], "float32"))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name="exact_match", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = ops.convert_to_tensor(y_true)
        right = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), y_true.dtype), y_true)
        super().update_state(ops.all(ops.logical_or(right, ops.equal(y_true, 0)), axis=-1), sample_weight)
