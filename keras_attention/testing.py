"""Checks for your own models: that padding changes nothing, wherever it stands, that no position sees the future.

Keras itself fails the first one: since 3.8 `keras.layers.MultiHeadAttention`
drops the padding mask of its inputs, so that the second layer of a stack
attends to padding. Nothing warns.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops, tree

PLACES = ("front", "behind", "between")


def assert_padding_invariant(
    model, inputs, padded=None, axis: int = 1, pad: int | float = 0, extra: int = 3, places=PLACES, atol: float = 1e-4
) -> None:
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


def assert_no_future_leak(model, inputs, causal=None, axis: int = 1, atol: float = 1e-4, seed: int = 0) -> None:
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
        seed: random seed of the replacements, which are drawn from the inputs' own values
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


def check_attention(
    make: Callable[[], keras.layers.Layer], query_dim: int = 4, value_dim: int = 4, atol: float = 1e-4
) -> None:
    """Holds an attention layer to the laws of this library's own.

    Cut into several reads a target gets what one read gives; what stands at
    padding, in front, behind or in between, changes nothing and gets nothing; a
    source without a token gets no weight; the config makes the same layer.

    Args:
        make: a function without arguments that makes the layer, an
            `AttentionLayer`.
        query_dim: width of a query.
        value_dim: width of a value.
        atol: largest difference that is none.

    Raises:
        AssertionError: with the law that was broken, and by how much.

    Example:

    >>> check_attention(lambda: MonotonicAttention("dot"))
    """
    generator = np.random.default_rng(0)
    query, value = (generator.normal(size=shape).astype("float32") for shape in ((2, 3, query_dim), (2, 5, value_dim)))
    attention = make()
    attention.build(query.shape, value.shape)
    attention.set_weights([generator.normal(size=weight.shape) for weight in attention.get_weights()])
    context, weights = _read(attention, query, value)
    for cut in (1, 2):
        _assert_equal(f"cut after {cut} queries", _read(attention, query, value, cut=cut), (context, weights), atol)
    for place, tokens in {"in front": [2, 3, 4, 5, 6], "behind": range(5), "in between": [0, 1, 4, 5, 6]}.items():
        padded, mask = np.full((2, 7, value_dim), 9.0, "float32"), np.zeros((2, 7), bool)
        padded[:, tokens], mask[:, tokens] = value, True
        received = _read(attention, query, padded, mask)
        _assert_equal(f"padding {place}", (received[0], received[1][..., list(tokens)]), (context, weights), atol)
        _assert_equal(f"weights of padding {place}", (received[1].sum(-1),), (weights.sum(-1),), atol)
    context_of_nothing, weights_of_nothing = _read(attention, query, value, np.zeros((2, 5), bool))
    assert np.isfinite(context_of_nothing).all(), "a source without a token: the context is not finite."
    _assert_equal("weights of a source without a token", [weights_of_nothing], [np.zeros_like(weights)], 0.0)
    again = type(attention).from_config(attention.get_config())
    again.build(query.shape, value.shape)
    again.set_weights(attention.get_weights())
    _assert_equal("the same config and weights", _read(again, query, value), (context, weights), atol)


def check_cell(
    make: Callable[[], keras.layers.Layer], inputs_dim: int = 4, value_dim: int = 4, atol: float = 1e-4
) -> None:
    """Holds a decoder cell to the laws of this library's own.

    Cut into several reads a target gives what one read gives; padding of the
    target, wherever it stands, moves no state and changes no output; so does
    that of the source; the config makes the same cell.

    Args:
        make: a function without arguments that makes the cell, a
            `DecoderCell`.
        inputs_dim: width of an input.
        value_dim: width of a value.
        atol: largest difference that is none.

    Raises:
        AssertionError: with the law that was broken, and by how much.

    Example:

    >>> check_cell(lambda: LuongCell(6, attention=LocalAttention("general", "monotonic", half_width=2)))
    """
    generator = np.random.default_rng(0)
    inputs, value = (
        generator.normal(size=shape).astype("float32") for shape in ((2, 3, inputs_dim), (2, 5, value_dim))
    )
    cell = make()
    cell.build(inputs.shape, value.shape)
    cell.set_weights([generator.normal(size=weight.shape) for weight in cell.get_weights()])
    memory = cell.prepare(ops.convert_to_tensor(value))
    state = cell.initial_state(2, memory)
    whole = cell.read(ops.convert_to_tensor(inputs), memory, state)
    first = cell.read(ops.convert_to_tensor(inputs[:, :1]), memory, state)
    second = cell.read(ops.convert_to_tensor(inputs[:, 1:]), memory, first.state)
    _assert_equal("cut after one step", [_array(second.output)], [_array(whole.output)[:, 1:]], atol)
    _assert_equal("state after a cut", map(_array, second.state), map(_array, whole.state), atol)
    padded, mask = np.full((2, 5, inputs_dim), 9.0, "float32"), np.array([[False, True, False, True, True]] * 2)
    padded[:, mask[0]] = inputs
    received = cell.read(ops.convert_to_tensor(padded), memory, state, mask=ops.convert_to_tensor(mask))
    _assert_equal("padding of the target", [_array(received.output)[:, mask[0]]], [_array(whole.output)], atol)
    _assert_equal("state after padding", map(_array, received.state), map(_array, whole.state), atol)
    padded, mask = np.full((2, 7, value_dim), 9.0, "float32"), np.array([[False, False, *[True] * 5]] * 2)
    padded[:, 2:] = value
    memory = cell.prepare(ops.convert_to_tensor(padded), value_mask=ops.convert_to_tensor(mask))
    received = cell.read(ops.convert_to_tensor(inputs), memory, cell.initial_state(2, memory))
    _assert_equal("padding of the source", [_array(received.output)], [_array(whole.output)], atol)
    again = type(cell).from_config(cell.get_config())
    again.build(inputs.shape, value.shape)
    shapes = [[tuple(weight.shape) for weight in one.weights] for one in (again, cell)]
    assert shapes[0] == shapes[1], f"the config makes a cell of other weights: {shapes[0]}, not {shapes[1]}."


def check_encoder_decoder(model: keras.Model, inputs, atol: float = 1e-4) -> None:
    """Holds an encoder-decoder to the laws of this library's own.

    No output reads a later target; a target cut into several calls of `decode`
    gives what one call gives; of ids, padding changes nothing wherever it
    stands.

    Args:
        model: an `EncoderDecoder`.
        inputs: dict of `source` and `target`, arrays without padding, of at
            least two target steps.
        atol: largest difference that is none.

    Raises:
        AssertionError: with the law that was broken, and by how much.

    Example:

    >>> inputs = {"source": np.array([[5, 6, 7]]), "target": np.array([[2, 5, 6]])}
    >>> check_encoder_decoder(DateConverter(9, 9, units=4, attention="bahdanau"), inputs)
    """
    assert_no_future_leak(model, inputs, causal="target", atol=atol)
    expected = _array(model(inputs))
    memory, state = model.encode(ops.convert_to_tensor(inputs["source"]))
    first = model.decode(ops.convert_to_tensor(inputs["target"][:, :1]), memory, state)
    second = model.decode(ops.convert_to_tensor(inputs["target"][:, 1:]), memory, first.state)
    _assert_equal("cut after one step", [_array(second.logits)], [expected[:, 1:]], atol)
    for side in ("source", "target"):
        if np.issubdtype(np.asarray(inputs[side]).dtype, np.integer):
            assert_padding_invariant(model, inputs, padded=side, atol=atol)


def _read(attention, query, value, mask=None, cut=None):
    """Context and weights of a target in one read, or in two."""
    mask = None if mask is None else ops.convert_to_tensor(mask)
    memory = attention.prepare(ops.convert_to_tensor(value), value_mask=mask)
    state, parts = attention.start(memory), []
    for part in np.split(query, [cut] if cut else [], axis=1):
        context, weights, state = attention.read(ops.convert_to_tensor(part), memory, state)
        parts.append((_array(context), _array(weights)))
    contexts, weights = zip(*parts, strict=True)
    return np.concatenate(contexts, axis=1), np.concatenate(weights, axis=-2)


def _array(tensor):
    return ops.convert_to_numpy(tensor)


def _assert_equal(law, received, expected, atol):
    for one, other in zip(received, expected, strict=True):
        difference = np.abs(np.asarray(one, "float64") - np.asarray(other, "float64")).max()
        assert difference <= atol, f"{law}: differs by {difference:.2g}, allowed {atol:.2g}."
