"""Layers that are alike as one function of TensorFlow, which takes their weights.

TensorFlow reads, optimises and compiles each node of a graph that it loads.
Where each of six blocks stands in it with nodes of its own, that takes six
times as long as it must.
"""

import contextlib
import contextvars
import json

import keras

# Weights from which a layer takes so long that one call more, some 20 microseconds, does not count. The function of a
# smaller one is put back into the graph wherever it is called, before that runs: it is loaded faster, and runs as ever.
WORTH_A_CALL = 2_000_000

# Functions of the layers that were traced, by what makes layers alike; None where each layer stands for itself.
_functions = contextvars.ContextVar("functions", default=None)


@contextlib.contextmanager
def alike_traced_once():
    """Inside, `call_alike` calls one function for all layers that are alike: for a graph that is to be saved.

    TensorFlow alone, and for inference: what a layer assigns is lost.
    """
    token = _functions.set({})
    try:
        yield
    finally:
        _functions.reset(token)


def call_alike(layer, method, *inputs, **named):
    """What `layer.method(*inputs, **named)` gives."""
    functions = _functions.get()
    if functions is None:
        return getattr(layer, method)(*inputs, **named)
    options = {name: value for name, value in named.items() if value is None or isinstance(value, bool | int)}
    tensors = {name: value for name, value in named.items() if name not in options}
    key = method, tuple(sorted(options.items())), _kind(layer)
    if key not in functions:
        functions[key] = _function(layer, method, options)
    return functions[key]([variable.value for variable in layer.weights], *inputs, **tensors)


def _kind(layer):
    """What layers that are alike have in common: all but the values of their weights."""
    config = {name: value for name, value in layer.get_config().items() if name not in ("name", "seed")}
    layers = tuple(type(each) for each in layer._flatten_layers())
    weights = tuple((tuple(variable.shape), variable.dtype) for variable in layer.weights)
    return json.dumps(config, sort_keys=True, default=repr), layers, weights


def _function(layer, method, options):
    """A function of the weights of a layer like this one, and of what the method takes."""
    import tensorflow as tf

    def traced(weights, *inputs, **tensors):
        with keras.StatelessScope(zip(layer.weights, weights, strict=True)):
            return getattr(layer, method)(*inputs, **tensors, **options)

    attributes = {"_noinline": True} if layer.count_params() >= WORTH_A_CALL else None
    return tf.function(traced, autograph=False, experimental_attributes=attributes)
