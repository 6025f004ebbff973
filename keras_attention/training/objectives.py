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
    """

    def __init__(self, name="crossentropy", **kwargs):
        super().__init__(name=name, reduction=None, **{key: kwargs[key] for key in kwargs if key == "dtype"})

    def call(self, y_true, y_pred):
        live = ops.cast(ops.not_equal(y_true, 0), "float32")
        losses = ops.sparse_categorical_crossentropy(y_true, ops.cast(y_pred, "float32"), from_logits=True)
        return ops.sum(losses * live) / ops.maximum(ops.sum(live), 1.0)

    def get_config(self):
        return {"name": self.name}


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
