"""Checks for your own models: that padding changes nothing, that no position sees the future.

Keras itself fails the first one: since 3.8 `keras.layers.MultiHeadAttention`
drops the padding mask of its inputs, so that the second layer of a stack
attends to padding. Nothing warns.
"""

import numpy as np
from keras import ops, tree


def assert_padding_invariant(model, inputs, padded=None, axis=1, pad=0, extra=3, atol=1e-4):
    """Asserts that more padding at the end of the inputs changes no output.

    The model is called with `inputs`, and again with `extra` pads more. Where
    an output has grown by as many positions, the new ones are cut away.

    Args:
        model: a callable on tensors: a model, a layer, a function.
        inputs: what it is called with: an array, or a list, tuple or dict of
            arrays.
        padded: names or indices of the inputs to pad, of a list, tuple or
            dict. Defaults to all.
        axis: the axis to pad.
        pad: the value to pad with.
        extra: how many pads to add.
        atol: largest difference that passes.

    Raises:
        AssertionError: if an output changes; the message says which and by how
            much.

    Example: a mean over all positions is no way to handle padding.

    >>> assert_padding_invariant(lambda ids: ops.mean(ids, axis=1), np.array([[4.0, 5.0]]))
    Traceback (most recent call last):
      ...
    AssertionError: 3 more pads change output 0 by up to 2.7. ...
    """
    inputs = _arrays(inputs)
    chosen = _paths(inputs, padded)

    def lengthen(path, array):
        if path not in chosen:
            return array
        widths = [(0, 0)] * array.ndim
        widths[axis] = (0, extra)
        return np.pad(array, widths, constant_values=pad)

    before = tree.flatten(model(inputs))
    after = tree.flatten(model(_map(lengthen, inputs)))
    for index, (expected, received) in enumerate(zip(before, after, strict=True)):
        expected, received = ops.convert_to_numpy(expected), ops.convert_to_numpy(received)
        cut = tuple(
            slice(0, size) if grown == size + extra else slice(None)
            for size, grown in zip(expected.shape, received.shape, strict=True)
        )
        difference = _largest_difference(expected, received[cut])
        assert difference <= atol, (
            f"{extra} more pads change output {index} by up to {difference:.2g}. Somewhere a mask is lost: pass it to "
            "every layer that mixes positions."
        )


def assert_no_future_leak(model, inputs, causal=None, axis=1, atol=1e-4, seed=0):
    """Asserts that no output position depends on a later input position.

    For every position the inputs after it are replaced by others and the
    outputs up to it compared.

    Args:
        model: a callable on tensors: a model, a layer, a function.
        inputs: what it is called with: an array, or a list, tuple or dict of
            arrays.
        causal: names or indices of the inputs that must not be seen early.
            Defaults to all. They, and the outputs, have `axis` in common.
        axis: the axis of positions, of these inputs and of every output.
        atol: largest difference that passes.
        seed: of the replacements, which are drawn from the inputs' own values
            for integers, and from a normal distribution for others.

    Raises:
        AssertionError: if an output changes; the message says which position
            saw the future.

    Example: a sum over all positions sees the future, a running sum does not.

    >>> assert_no_future_leak(lambda x: ops.cumsum(x, axis=1), np.array([[1.0, 2.0, 3.0]]))
    >>> assert_no_future_leak(lambda x: x + ops.sum(x, axis=1, keepdims=True), np.array([[1.0, 2.0, 3.0]]))
    Traceback (most recent call last):
      ...
    AssertionError: output 0 at position 0 or before depends on inputs after position 0. ...
    """
    inputs = _arrays(inputs)
    chosen = _paths(inputs, causal)
    generator = np.random.default_rng(seed)
    length = min(array.shape[axis] for path, array in _items(inputs) if path in chosen)
    before = [ops.convert_to_numpy(output) for output in tree.flatten(model(inputs))]
    for position in range(length - 1):

        def change(path, array, position=position):
            return _change_after(array, axis, position, generator) if path in chosen else array

        for index, (expected, output) in enumerate(zip(before, tree.flatten(model(_map(change, inputs))), strict=True)):
            known = tuple(slice(0, position + 1) if axis == own else slice(None) for own in range(expected.ndim))
            difference = _largest_difference(expected[known], ops.convert_to_numpy(output)[known])
            assert difference <= atol, (
                f"output {index} at position {position} or before depends on inputs after position {position}. "
                f"It changes by up to {difference:.2g} when they change: a causal mask is missing."
            )


def _change_after(array, axis, position, generator):
    changed = array.copy()
    later = tuple(slice(position + 1, None) if axis == own else slice(None) for own in range(array.ndim))
    if np.issubdtype(array.dtype, np.integer):
        # Another of the values at hand for every id, so that each later position does change.
        values = np.unique(array)
        if len(values) < 2:
            raise ValueError("assert_no_future_leak: integer inputs must hold at least two different values.")
        steps = generator.integers(1, len(values), size=array[later].shape)
        changed[later] = values[(np.searchsorted(values, array[later]) + steps) % len(values)]
    else:
        changed[later] = generator.normal(size=array[later].shape)
    return changed


def _largest_difference(expected, received):
    if not expected.size:
        return 0.0
    return float(np.max(np.abs(expected.astype("float64") - received.astype("float64"))))


def _arrays(inputs):
    return tree.map_structure(ops.convert_to_numpy, inputs)


def _items(inputs):
    """Pairs of name or index and array; a single array has the name None."""
    if isinstance(inputs, dict):
        return list(inputs.items())
    if isinstance(inputs, (list, tuple)):
        return list(enumerate(inputs))
    return [(None, inputs)]


def _map(function, inputs):
    changed = [function(path, array) for path, array in _items(inputs)]
    if isinstance(inputs, dict):
        return dict(zip(inputs, changed, strict=True))
    return type(inputs)(changed) if isinstance(inputs, (list, tuple)) else changed[0]


def _paths(inputs, chosen):
    known = [path for path, _ in _items(inputs)]
    if chosen is None:
        return known
    chosen = [chosen] if isinstance(chosen, (str, int)) else list(chosen)
    unknown = [path for path in chosen if path not in known]
    if unknown:
        raise ValueError(f"the inputs have {known}. Received {unknown}.")
    return chosen
