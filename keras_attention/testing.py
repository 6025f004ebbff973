"""Checks for your own models: that padding changes nothing, wherever it stands, that no position sees the future.

Keras itself fails the first one: since 3.8 `keras.layers.MultiHeadAttention`
drops the padding mask of its inputs, so that the second layer of a stack
attends to padding. Nothing warns.
"""

import numpy as np
from keras import ops, tree

PLACES = ("front", "behind", "between")


def assert_padding_invariant(model, inputs, padded=None, axis=1, pad=0, extra=3, places=PLACES, atol=1e-4):
    """Asserts that more padding changes no output, wherever it stands.

    The model is called with `inputs`, and again with `extra` pads more in each
    of the places. Where an output has grown by as many positions, those of the
    pads are cut away.

    Args:
        model: a callable on tensors: a model, a layer, a function.
        inputs: what it is called with: an array, or a list, tuple or dict of
            arrays.
        padded: names or indices of the inputs to pad, of a list, tuple or
            dict. Defaults to all.
        axis: the axis to pad.
        pad: the value to pad with.
        extra: how many pads to add.
        places: where to add them, of `"front"` (as `keras.utils.pad_sequences`
            does), `"behind"` and `"between"`: before the middle position.
        atol: largest difference that passes.

    Raises:
        AssertionError: if an output changes; the message says which, by how
            much, and for pads in which place.
        ValueError: for an unknown place.

    Example: a mean over all positions is no way to handle padding.

    >>> assert_padding_invariant(lambda ids: ops.mean(ids, axis=1), np.array([[4.0, 5.0]]))
    Traceback (most recent call last):
      ...
    AssertionError: 3 more pads in front change output 0 by up to 2.7. ...
    """
    places = [places] if isinstance(places, str) else list(places)
    unknown = [place for place in places if place not in PLACES]
    if unknown:
        raise ValueError(f"assert_padding_invariant: places must be of {PLACES}. Received {unknown}.")
    inputs = _arrays(inputs)
    chosen = _paths(inputs, padded)
    before = [ops.convert_to_numpy(output) for output in tree.flatten(model(inputs))]
    for place in places:

        def lengthen(path, array, place=place):
            if path not in chosen:
                return array
            return np.insert(array, [_begin(array.shape[axis], place)] * extra, pad, axis=axis)

        after = tree.flatten(model(_map(lengthen, inputs)))
        for index, (expected, received) in enumerate(zip(before, after, strict=True)):
            received = _without(ops.convert_to_numpy(received), expected.shape, place, extra)
            difference = _largest_difference(expected, received)
            assert difference <= atol, (
                f"{extra} more pads {_WORDS[place]} change output {index} by up to {difference:.2g}. Somewhere a mask "
                "is lost, or positions are counted from the padding: pass the mask to every layer that mixes positions."
            )


_WORDS = {"front": "in front", "behind": "behind", "between": "in between"}


def _begin(length, place):
    """Where the pads go in a sequence of a length."""
    return {"front": 0, "behind": length, "between": length // 2}[place]


def _without(array, shape, place, extra):
    """An output without the positions of the pads, along every axis that has grown by them."""
    for own, (size, grown) in enumerate(zip(shape, array.shape, strict=True)):
        if grown == size + extra:
            begin = _begin(size, place)
            array = np.delete(array, slice(begin, begin + extra), axis=own)
    return array


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
