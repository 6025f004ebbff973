"""Muon for models with attention."""

import re

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_attention")
class Muon(keras.optimizers.Muon):
    """Keras' Muon, which knows the matrices of attention.

    Muon makes the updates of matrices orthogonal and leaves other variables to
    Adam. Keras' own takes for a matrix what has two axes. In attention that is
    the wrong way round: the kernels of `MultiHeadAttention`, Keras' and ours,
    have three, `(dim, heads, head_dim)`, and stay with Adam, while the biases,
    `(heads, head_dim)`, are made orthogonal. Here a kernel with three axes is
    folded into a matrix, the squarer of the two that are possible, which is
    that of the product unless an attention is much wider than its input;
    biases, embeddings and single columns are Adam's.

    Args:
        learning_rate: learning rate of matrices and others alike: the updates of matrices are
            scaled to the size of Adam's.
        adam_weight_decay, weight_decay: weight decay of Adam's variables, and of matrices.
            Unlike Keras' own it has none by default.
        exclude_layers: regular expressions; variables with a path that one of
            them is found in are Adam's, as an output layer's should be.
        **kwargs: arguments of `keras.optimizers.Muon`.

    Example:

    >>> layer = MultiHeadSelfAttention(num_heads=2, key_dim=4)
    >>> layer.build((None, None, 8))
    >>> optimizer = Muon(learning_rate=0.003)
    >>> [variable.path.split("/", 1)[1] for variable in layer.trainable_variables if optimizer.is_matrix(variable)]
    ['query/kernel', 'key/kernel', 'value/kernel', 'attention_output/kernel']

    Reference: Jordan et al. 2024, "Muon: An optimizer for hidden layers in
        neural networks"; Liu et al. 2025, "Muon is Scalable for LLM Training",
        2.2, for the scale.
    """

    def __init__(self, learning_rate=0.001, adam_weight_decay=None, weight_decay=None, exclude_layers=(), **kwargs):
        super().__init__(
            learning_rate,
            adam_weight_decay=adam_weight_decay,
            weight_decay=weight_decay,
            exclude_layers=list(exclude_layers),
            **kwargs,
        )

    def is_matrix(self, variable):
        """Whether the updates of a variable are made orthogonal."""
        if len(variable.shape) not in (2, 3) or "bias" in variable.name or 1 in _matrix_shape(variable.shape):
            return False
        excluded = [*self.exclude_layers, *(["(?i)embedding"] if self.exclude_embeddings else [])]
        return not any(re.search(pattern, variable.path) for pattern in excluded)

    # What Keras' own asks, and does to an update before and after it is made orthogonal.

    def _should_use_adamw(self, variable):
        return not self.is_matrix(variable)

    def zeropower_via_newtonschulz5(self, x, steps):
        update = super().zeropower_via_newtonschulz5(ops.reshape(x, _matrix_shape(x.shape)), steps)
        return ops.reshape(update, x.shape)

    def lr_adjust(self, x):
        return ops.reshape(super().lr_adjust(ops.reshape(x, _matrix_shape(x.shape))), x.shape)


def _matrix_shape(shape):
    """Of two or three axes."""
    if len(shape) == 2:
        return tuple(shape)
    first, second, third = shape
    return min((first, second * third), (first * second, third), key=lambda sides: max(sides) / min(sides))
