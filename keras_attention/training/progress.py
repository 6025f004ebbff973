"""What is measured while a training runs: tokens a second, and the loss and BLEU on other pairs."""

import time

import keras
from keras import ops

from keras_attention.bleu import corpus_scores
from keras_attention.training.objectives import MaskedCrossentropy
from keras_attention.training.weights import token_weights


@keras.saving.register_keras_serializable(package="keras_attention")
class Tokens(keras.metrics.Sum):
    """How many labels there were that are not padding.

    Positions where the Keras mask of the logits is False do not count; as a
    weighted metric it sums the sample weights of those that do.

    Args:
        name: name of the metric.
        dtype: dtype of the result.

    Example:

    >>> metric = Tokens()
    >>> metric.update_state(np.array([[5, 3, 0]]), None)
    >>> int(metric.result())
    2
    """

    def __init__(self, name="tokens", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds tokens; sample weights are `(batch,)`, `(batch, 1)` or `(batch, target)`."""
        super().update_state(token_weights(y_true, y_pred, sample_weight, self.dtype))


class Throughput(keras.callbacks.Callback):
    """Shows target tokens a second, for a model compiled with `metrics=[Tokens()]`.

    Among `weighted_metrics` it would show weights a second.
    """

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

    With sample weights it is the weighted mean; positions where the Keras mask
    of the logits is False do not count.

    Args:
        batches: dataset of what `fit` takes, `(inputs, labels)` or
            `(inputs, labels, sample_weight)`, each pair once.
        name: name of the result.
    """

    def __init__(self, batches, name="val_loss"):
        super().__init__()
        self.batches = batches
        self.name = name
        self._measure = None

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.measure()

    def measure(self):
        """The cross-entropy of the model that `set_model` was given, as `fit` does."""
        if self._measure is None:
            self._measure = _compiled(self._loss_and_weight)
        totals = [self._measure(*keras.utils.unpack_x_y_sample_weight(batch)) for batch in self.batches]
        loss, weight = (float(ops.convert_to_numpy(sum(column))) for column in zip(*totals, strict=True))
        return loss / weight if weight else 0.0

    def _loss_and_weight(self, inputs, labels, sample_weight=None):
        logits = self.model(inputs, training=False)
        weights = token_weights(labels, logits, sample_weight, "float32")
        losses = MaskedCrossentropy().call(labels, ops.cast(logits, "float32"))
        return ops.sum(losses * weights), ops.sum(weights)


class Bleu(keras.callbacks.Callback):
    """Measures BLEU of greedy translations of other pairs after each round, from 0 to 100.

    Args:
        converter: a `TextToText` of the model that is trained.
        pairs: list of `(source, target)`.
        tokenize: see `keras_attention.bleu.corpus_scores`.
        name: name of the result.
    """

    def __init__(self, converter, pairs, tokenize=None, name="val_bleu"):
        super().__init__()
        self.converter = converter
        self.pairs = pairs
        self.tokenize = tokenize
        self.name = name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.measure()

    def measure(self):
        """BLEU of the converter as it is."""
        texts = self.converter.evaluate(self.pairs, batch_size=128).texts
        return corpus_scores(texts, [target for _, target in self.pairs], tokenize=self.tokenize)[0].value


def _compiled(function):
    """The function as a graph where Keras runs on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, reduce_retracing=True)
