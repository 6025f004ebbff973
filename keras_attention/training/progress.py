"""What is measured while a training runs: tokens a second, and the loss on other pairs."""

import time

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="keras_attention")
class Tokens(keras.metrics.Sum):
    """How many labels there were that are not padding.

    Example:

    >>> metric = Tokens()
    >>> metric.update_state(np.array([[5, 3, 0]]), None)
    >>> int(metric.result())
    2
    """

    def __init__(self, name="tokens", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(ops.cast(ops.not_equal(y_true, 0), "float32"))


class Throughput(keras.callbacks.Callback):
    """Shows target tokens a second, for a model compiled with the metric `Tokens`."""

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        logs["tokens/s"] = logs.pop("tokens") / (time.perf_counter() - self._begin)

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.perf_counter() - self._begin
        logs["tokens/s"] = logs.pop("tokens") / logs["seconds"]


class Validation(keras.callbacks.Callback):
    """Measures the cross-entropy on other pairs after each round, in nats a token.

    Unlike `fit`'s own validation it has no label smoothing in it, and every
    token counts as much as another, however the batches were cut.

    Args:
        batches: dataset of what `fit` takes, each pair once.
        name: of the result.
    """

    def __init__(self, batches, name="val_loss"):
        super().__init__()
        self.batches = batches
        self.name = name
        self._measure = None

    def on_epoch_end(self, epoch, logs=None):
        if self._measure is None:
            self._measure = tf.function(self._loss_and_tokens, reduce_retracing=True)
        totals = [self._measure(inputs, labels) for inputs, labels in self.batches]
        loss, tokens = (float(sum(column)) for column in zip(*totals, strict=True))
        logs[self.name] = loss / tokens

    def _loss_and_tokens(self, inputs, labels):
        logits = tf.cast(self.model(inputs, training=False), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        live = tf.cast(labels != 0, tf.float32)
        return tf.reduce_sum(losses * live), tf.reduce_sum(live)
