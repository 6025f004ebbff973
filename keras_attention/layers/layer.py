"""What all layers of the library share: a seed for each part, and `keras.RematScope` on every backend.

Keras rematerialises a layer by handing everything that it was called with to
the backend. JAX then traces a flag such as `training` as if it were a tensor,
TensorFlow forgets the gradients of arguments that are given by keyword, and
dropout, computed a second time, drops something else, or leaves a traced seed
behind. `Rematerialized` hands over tensors alone and rewinds the seeds.
"""

import keras
import numpy as np
from keras import ops, tree

from keras_attention.layers.checked_inputs import ChecksInputs

_SEED_STATE = "seed_generator_state"  # Keras' name of the variable of a SeedGenerator


class Rematerialized:
    """Mixin, before a Keras layer: under a `keras.RematScope` values and gradients are those without it."""

    def rematerialized_call(self, layer_call, *args, **kwargs):
        leaves = tree.flatten((args, kwargs))
        if any(callable(leaf) for leaf in leaves if not ops.is_tensor(leaf)):
            return layer_call  # what a function uses cannot be seen from here; the layers that it calls see it
        floats = [leaf for leaf in leaves if _is_float(leaf)]
        seeds = [variable for variable in self.variables if variable.name == _SEED_STATE]
        starts = _values(seeds)
        structure = None

        def of_floats(*floats):
            nonlocal structure
            floats = iter(floats)
            again = [next(floats) if _is_float(leaf) else leaf for leaf in leaves]
            args_again, kwargs_again = tree.pack_sequence_as((args, kwargs), again)
            before = _values(seeds)
            _assign(seeds, starts)
            structure = layer_call(*args_again, **kwargs_again)
            ends = _values(seeds)
            _assign(seeds, before)
            return [leaf for leaf in tree.flatten(structure) if ops.is_tensor(leaf)] + ends

        rematerialized = super().rematerialized_call(of_floats, *args, **kwargs)
        if rematerialized is of_floats:
            return layer_call

        def call(*args, **kwargs):
            results = rematerialized(*floats)
            _assign(seeds, results[len(results) - len(seeds) :])
            results = iter(results)
            flat = [next(results) if ops.is_tensor(leaf) else leaf for leaf in tree.flatten(structure)]
            return tree.pack_sequence_as(structure, flat)

        return call


class Layer(ChecksInputs, Rematerialized, keras.layers.Layer):
    """A Keras layer that checks its inputs and can be rematerialised."""


class InitializedLayer(Layer):
    """A layer that hands its two initialisers to every projection in it.

    Args:
        kernel_initializer, bias_initializer: of the projections.
    """

    def __init__(self, kernel_initializer="glorot_uniform", bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def fresh_initializers(self):
        """Both initialisers as arguments of one projection; see `fresh_initializer`."""
        return {
            "kernel_initializer": fresh_initializer(self.kernel_initializer),
            "bias_initializer": fresh_initializer(self.bias_initializer),
        }

    def get_config(self):
        return super().get_config() | {
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


class Dropout(Rematerialized, keras.layers.Dropout):
    """Keras' dropout, where `training` may also be a tensor, as in a model that is rematerialised as a whole on JAX."""

    def call(self, inputs, training=False):
        if self.rate and ops.is_tensor(training):
            return ops.where(training, super().call(inputs, training=True), inputs)
        return super().call(inputs, training=bool(self.rate and training))


def derived_seed(seed, part):
    """A seed for each part of a layer, so that no two drop the same.

    Args:
        seed: seed of the layer, an integer; None gives None.
        part: which part, an integer.

    Example:

    >>> derived_seed(1, 0) == derived_seed(1, 1), derived_seed(None, 0) is None
    (False, True)
    """
    if seed is None:
        return None
    return int(np.random.SeedSequence((seed, part)).generate_state(1)[0] >> 1)  # torch wants it below 2 ** 31


def fresh_initializer(initializer):
    """Another initialiser of the same kind: one that is used twice gives the same numbers twice."""
    initializer = keras.initializers.get(initializer)
    return initializer.clone() if isinstance(initializer, keras.Initializer) else initializer


def serialized(value):
    """The config of a layer, the same before and after it is built; anything else, such as a name, as it is."""
    if not isinstance(value, keras.layers.Layer):
        return value
    config = keras.saving.serialize_keras_object(value)
    config.pop("build_config", None)
    return config


def deserialized(value):
    """What `serialized` gave as a layer again; anything else as it is."""
    is_config = isinstance(value, dict) and "class_name" in value
    return keras.saving.deserialize_keras_object(value) if is_config else value


def quantize_parts(layer, mode, config=None):
    """Quantizes the dense layers that a layer is made of, as `model.quantize` does."""
    for part in layer._flatten_layers(include_self=False):
        if isinstance(part, (keras.layers.Dense, keras.layers.EinsumDense)):
            part.quantize(mode, type_check=False, config=config)


def _is_float(leaf):
    return ops.is_tensor(leaf) and keras.backend.is_float_dtype(keras.backend.standardize_dtype(leaf.dtype))


def _values(variables):
    return [variable.value * 1 for variable in variables]  # a copy: torch assigns in place


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
