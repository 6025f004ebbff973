"""Several encoder-decoders as one: their probabilities are averaged in every step."""

import keras
from keras import ops


class Ensemble(keras.Model):
    """The mean of the probabilities of several models with the same vocabularies.

    It is searched and exported as one model is. Training and saving it is the
    business of its parts.

    Args:
        models: list of `EncoderDecoder`s, of whatever kinds.

    Raises:
        ValueError: without a model, or for vocabularies of different sizes.

    Example:

    >>> ensemble = Ensemble([DateConverter(9, 7, units=4), DateConverter(9, 7, units=6)])
    >>> ensemble({"source": np.array([[5, 6]]), "target": np.array([[2]])}).shape
    TensorShape([1, 1, 7])

    Reference: Sutskever et al. 2014, "Sequence to Sequence Learning with Neural
        Networks", 3.6.
    """

    def __init__(self, models, **kwargs):
        super().__init__(**kwargs)
        sizes = {(model.source_vocabulary_size, model.target_vocabulary_size) for model in models}
        if len(sizes) != 1:
            raise ValueError(
                "Ensemble: models must have the same vocabularies, and there must be one. Received sizes "
                f"{sorted(sizes)}."
            )
        self.models = list(models)
        ((self.source_vocabulary_size, self.target_vocabulary_size),) = sizes

    def encode(self, source, mask=None, training=False):
        """`(memory, state)` of all models, for `decode`."""
        encoded = [model.encode(source, mask=mask, training=training) for model in self.models]
        return tuple(memory for memory, _ in encoded), tuple(state for _, state in encoded)

    def output_columns(self, ids):
        """Those of all models; see `DecodingModel.output_columns`."""
        return tuple(model.output_columns(ids) for model in self.models)

    def decode(self, target, memory, state, columns=None, **options):
        """As `DecodingModel.decode`; the logits are logarithms of mean probabilities, the weights means over heads."""
        columns = (None,) * len(self.models) if columns is None else columns
        steps = [
            model.decode(target, of_memory, of_state, columns=some, **options)
            for model, of_memory, of_state, some in zip(self.models, memory, state, columns, strict=True)
        ]
        weights = None if steps[0].weights is None else _mean([_of_one_head(step.weights) for step in steps])
        return type(steps[0])(_mean_log([step.logits for step in steps]), tuple(step.state for step in steps), weights)

    def for_decoding(self):
        """The same of models that decode faster."""
        return Ensemble([model.for_decoding() for model in self.models])

    def call(self, inputs, training=False):
        return _mean_log([model(inputs, training=training) for model in self.models])


def _mean_log(logits):
    probabilities = [ops.softmax(ops.cast(each, "float32")) for each in logits]
    return ops.log(ops.maximum(_mean(probabilities), 1e-30))


def _mean(tensors):
    return sum(tensors[1:], tensors[0]) / len(tensors)


def _of_one_head(weights):
    """`(rows, target, source)`, the mean over layers and heads."""
    return weights if len(weights.shape) == 3 else ops.mean(weights, axis=(2, 3))
