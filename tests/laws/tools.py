"""What the laws are written with: arrays in, arrays out, gradients, on whatever backend Keras runs."""

import functools
from unittest import mock

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

BACKEND = keras.backend.backend()

only_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="strings, graphs and exports are TensorFlow's")


def fewer_on_jax(names, kept):
    """Values to parametrise a test with: all of them, but on JAX, which compiles for each anew, those that are kept."""
    assert set(kept) <= set(names)
    skipped = pytest.mark.skipif(BACKEND == "jax", reason="compiles anew what the forms that run on JAX share with it")
    return [name if name in kept else pytest.param(name, marks=skipped) for name in names]


def normal(*shape, seed=0):
    """Numbers of a standard normal distribution: float32 of a shape."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def ids(*shape, high, seed=0):
    """Ids of tokens, none of them special: int32 of a shape."""
    return np.random.default_rng(seed).integers(2, high, size=shape).astype("int32")


def lengths_mask(*lengths, length):
    """A padding mask of rows of some lengths: bool `(batch, length)`."""
    return np.arange(length) < np.array(lengths)[:, None]


def tensor(values):
    """A tensor of the backend."""
    return ops.convert_to_tensor(values)


def array(values):
    """A NumPy array, of float32 where the tensor is of a smaller float."""
    values = ops.convert_to_tensor(values)
    if keras.backend.standardize_dtype(values.dtype) in ("float16", "bfloat16"):
        values = ops.cast(values, "float32")
    return ops.convert_to_numpy(values)


def assert_close(received, expected, atol=1e-5):
    """Asserts that two tensors, or arrays, are of one shape and differ by no more than `atol`."""
    assert_allclose(array(received), array(expected), atol=atol, strict=True)


def assert_same(received, expected):
    """Asserts that a tensor holds exactly these values; a single number may stand for all of them."""
    assert_array_equal(array(received), array(expected))


def dtype_of(values):
    """The name of a tensor's dtype."""
    return keras.backend.standardize_dtype(values.dtype)


def gradients(function, *inputs, variables=()):
    """Gradients of a scalar function of tensors, by the backend's own means.

    Returns:
        A list of arrays: with respect to the inputs, then to the variables;
        zeros where the function does not depend on one.
    """
    if BACKEND == "tensorflow":
        import tensorflow as tf

        inputs = [tf.constant(values) for values in inputs]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            result = function(*inputs)
        sources = [*inputs, *(variable.value for variable in variables)]
        return [array(values) for values in tape.gradient(result, sources, unconnected_gradients="zero")]
    if BACKEND == "jax":
        import jax

        def scalar(inputs, values):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return function(*inputs)

        both = jax.jit(jax.grad(scalar, argnums=(0, 1)))(
            list(map(tensor, inputs)), [variable.value for variable in variables]
        )
        return [array(values) for values in (*both[0], *both[1])]
    import torch

    inputs = [tensor(values).detach().requires_grad_() for values in inputs]  # on the device that Keras uses
    sources = [*inputs, *(variable.value for variable in variables)]
    found = torch.autograd.grad(function(*inputs), sources, allow_unused=True)
    return [
        np.zeros(tuple(source.shape)) if one is None else array(one) for source, one in zip(sources, found, strict=True)
    ]


def begin_anew(seed=0):
    """`keras.utils.set_random_seed`, where TensorFlow keeps what it has made of its operations.

    To set its seed it forgets them all, and makes each again where it is next
    called; the layers draw by seeds of their own.
    """
    if BACKEND != "tensorflow":
        keras.utils.set_random_seed(seed)
        return
    import tensorflow as tf

    with mock.patch.object(tf.random, "set_seed"):
        keras.utils.set_random_seed(seed)


def once(make):
    """A function of hashable arguments that makes each thing once, with the same random numbers in every run."""

    @functools.cache
    def made(*arguments):
        begin_anew()
        return make(*arguments)

    return made


def jitted_on_jax(function):
    """The function, compiled on JAX, where a loop is compiled again in each call that is not."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return function


def compiled(function, *shapes):
    """A function of float32 tensors, compiled by XLA; for shapes with unknown lengths, such as `(2, None, 5)`."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec(shape) for shape in shapes] or None
        return tf.function(function, jit_compile=True, autograph=False, input_signature=signature)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    pytest.skip("torch compiles nothing that Keras runs")


def with_gradients(function, variables=()):
    """A function of tensors that gives `function`'s outputs and the gradients of inputs and variables, for `compiled`.

    What is differentiated is the sum of `x cos(x)` over the outputs, so that no symmetry hides a mistake.
    """

    def loss_of(outputs):
        return sum(ops.sum(ops.cast(x, "float32") * ops.cos(ops.cast(x, "float32"))) for x in outputs if x is not None)

    if BACKEND == "tensorflow":
        import tensorflow as tf

        def run(*inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = [x for x in function(*inputs) if x is not None]
                loss = loss_of(outputs)
            sources = [*inputs, *(variable.value for variable in variables)]
            return outputs, tape.gradient(loss, sources, unconnected_gradients="zero")

        return run
    if BACKEND == "jax":
        import jax

        def run(*inputs):
            def loss(*inputs):
                outputs = [x for x in function(*inputs) if x is not None]
                return loss_of(outputs), outputs

            gradients, outputs = jax.grad(loss, argnums=tuple(range(len(inputs))), has_aux=True)(*inputs)
            return outputs, gradients

        return run
    raise NotImplementedError("torch compiles nothing that Keras runs")
