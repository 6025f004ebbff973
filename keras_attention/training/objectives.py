"""Loss and metrics over padded targets: a label of 0 never counts."""

import keras
from keras import ops
from keras.src.backend import set_keras_mask

from keras_attention.training.weights import sparse_labels, token_weights


@keras.saving.register_keras_serializable(package="keras_attention")
class MaskedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits, in nats, averaged over the tokens: a label of 0 does not count.

    Without label smoothing it is
    `keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)`,
    with the same meaning of `reduction`, of sample weights and of a Keras mask
    on the logits. Its gradient is written down, which saves a large vocabulary
    passes over the logits, and weights of one a row, `(batch,)`, work with
    masks, where Keras' own raises or weighs the wrong tokens.

    Args:
        label_smoothing: epsilon, taken from the right token and spread evenly
            over all `V` of the vocabulary, `epsilon / V` each, as in Fairseq
            and Keras; Tensor2Tensor and the Annotated Transformer leave out
            one and two of them.
        name: name of the loss.
        reduction: `"sum_over_batch_size"` and `"mean"`: the weighted sum,
            divided by the number of tokens, whatever their weights;
            `"mean_with_sample_weight"`: divided by the sum of the tokens'
            weights; `"sum"`: not divided; None or `"none"`: one loss a token.
        dtype: dtype of the computation, at least float32. Defaults to Keras'
            `floatx`.

    Call args:
        y_true: labels `(batch, target)` or `(batch, target, 1)`, 0 where there
            is no token.
        y_pred: logits `(batch, target, vocabulary)`; positions that their Keras
            mask excludes do not count either.
        sample_weight: `(batch,)`, `(batch, 1)` or `(batch, target)`.

    Returns:
        A scalar; `(batch, target)` with `reduction=None`.

    Raises:
        ValueError: for a smoothing outside of 0 to 1, or an unknown reduction.

    Example: two tokens of even odds, and one position of padding.

    >>> loss = MaskedCrossentropy()(np.array([[1, 1, 0]]), np.zeros((1, 3, 2)))
    >>> round(float(loss), 4)
    0.6931

    Reference: Szegedy et al. 2016, "Rethinking the Inception Architecture for
        Computer Vision", 7, for label smoothing; Vaswani et al. 2017, 5.4.
    """

    def __init__(self, label_smoothing=0.0, name="crossentropy", reduction="sum_over_batch_size", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=_at_least_float32(dtype))
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                f"MaskedCrossentropy: label_smoothing must lie between 0 and 1. Received {label_smoothing!r}."
            )
        self.label_smoothing = label_smoothing

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            sample_weight = token_weights(y_true, y_pred, sample_weight, self.dtype)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """One loss a token, `(batch, target)`, 0 at padding, with the mask from which Keras counts the tokens."""
        labels = sparse_labels(y_true, y_pred)
        live = ops.not_equal(labels, 0)
        rows = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
        losses = _crossentropy(rows, ops.reshape(labels, (-1,)), self.label_smoothing)
        losses = ops.where(live, ops.reshape(losses, ops.shape(labels)), 0.0)
        set_keras_mask(losses, live)
        return losses

    def get_config(self):
        return super().get_config() | {"label_smoothing": self.label_smoothing, "dtype": self.dtype}


def _at_least_float32(dtype):
    """The dtype of a loss: half precision cannot hold the ids of a vocabulary, which Keras casts to it."""
    dtype = keras.dtype_policies.get(dtype or keras.config.floatx()).compute_dtype
    return "float32" if dtype in ("float16", "bfloat16") else dtype


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
            right = ops.take_along_axis(spread, labels[:, None], -1)[:, 0] - (1.0 - smoothing)
            return ops.scatter_update(_weighed(spread, upstream[:, None]), places, _weighed(right, upstream))

        return value, gradient

    return losses(logits)


def _weighed(values, weights):
    """The product, and 0 where the weight is 0 whatever the value: what does not count trains nothing, NaN or not."""
    if keras.backend.backend() == "tensorflow":  # whose CPU passes over the memory once more for a `where`
        import tensorflow as tf

        return tf.math.multiply_no_nan(values, weights)
    return ops.where(ops.equal(weights, 0.0), 0.0, values * weights)


@keras.saving.register_keras_serializable(package="keras_attention")
class ExactMatch(keras.metrics.Mean):
    """Fraction of targets of which every token is predicted.

    With the right tokens given, every prediction is right exactly if a greedy
    search without them gives the target, so this is the accuracy of greedy
    conversion, measured while training runs.

    A token counts unless its label is 0, the Keras mask of the logits is False
    there, or its sample weight is 0. A row in which no token counts does not
    count; any other counts as much as its tokens do in the mean, so that
    weights `(batch,)` weigh rows.

    Args:
        name: name of the metric.
        dtype: dtype of the result.

    Example:

    >>> metric = ExactMatch()
    >>> metric.update_state(np.array([[1, 0], [1, 1]]), np.array([[[0, 1], [0, 1]], [[0, 1], [1, 0]]], "float32"))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name="exact_match", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts rows; sample weights are `(batch,)`, `(batch, 1)` or `(batch, target)`."""
        labels = sparse_labels(y_true, y_pred)
        weights = token_weights(labels, y_pred, sample_weight, self.dtype)
        live = ops.not_equal(weights, 0)
        right = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), labels.dtype), labels)
        rows = ops.all(ops.logical_or(right, ops.logical_not(live)), axis=-1)
        count = ops.maximum(ops.sum(ops.cast(live, self.dtype), axis=-1), 1.0)
        super().update_state(rows, ops.sum(weights, axis=-1) / count)
