"""The one loop over known inputs.

`unroll` runs a step function over the time axis, in the form that each backend
differentiates well: a `tf.while_loop`, or plain Python for a short static
length, on TensorFlow; `jax.lax.scan` on JAX; plain Python on torch.
"""

import keras
from keras import ops, tree
from keras.src.backend.common.stateless_scope import get_stateless_scope

# A static length up to this is unrolled in Python on TensorFlow: 10 % faster a step than the loop, but the graph, and
# the time to trace it, grow with the length.
PYTHON_UNROLL_LIMIT = 16


def unroll(step, inputs, state, reverse=False, mask=None, state_grows=False):
    """Runs `step` over the time axis of `inputs`.

    Args:
        step: `step(inputs_t, state) -> (outputs_t, state)`, where `inputs_t`
            has the structure of `inputs` without the time axis, and the state
            keeps its structure, shapes and dtypes.
        inputs: a structure of tensors `(batch, time, ...)`.
        state: a structure of tensors.
        reverse: run from the last position to the first. The outputs keep the
            order of the inputs.
        mask: bool `(batch, time)`, or None. Where it is False the state, tensors
            of `(batch, dim)`, stands still; the outputs there mean nothing.
        state_grows: whether the state's shapes change from step to step, as
            those of a cache do; the length must be static then.

    Returns:
        `(outputs, state)`: a structure of tensors `(batch, time, ...)`, and
        the state after the last step.

    Example: a running sum.

    >>> total, last = unroll(lambda x, s: (s + x, s + x), np.array([[1, 2, 3]]), np.array([0]))
    >>> total.numpy().tolist(), last.numpy().tolist()
    ([[1, 3, 6]], [6])
    """
    if mask is not None:
        return unroll(_masked(step), (inputs, mask[:, :, None]), state, reverse)
    inputs = tree.map_structure(_time_first, tree.map_structure(ops.convert_to_tensor, inputs))
    state = tree.map_structure(ops.convert_to_tensor, state)
    length = tree.flatten(inputs)[0].shape[0]
    loop = _python_loop if state_grows else _loop(length)
    outputs, state = loop(step, inputs, state, reverse)
    return tree.map_structure(_batch_first, outputs), state


def _masked(step):
    """A step that leaves the state of a row alone where the row has padding."""

    def masked_step(inputs_t, state):
        inputs_t, live = inputs_t
        outputs, new_state = step(inputs_t, state)
        return outputs, tree.map_structure(lambda new, old: ops.where(live, new, old), new_state, state)

    return masked_step


def _loop(length):
    """The form of the loop that suits the backend."""
    backend = keras.backend.backend()
    if backend == "jax":
        return _jax_loop
    if backend == "tensorflow" and _in_graph() and not (length and length <= PYTHON_UNROLL_LIMIT):
        return _tensorflow_loop
    return _python_loop


def _in_graph():
    import tensorflow as tf

    return not tf.executing_eagerly()


def _python_loop(step, inputs, state, reverse):
    columns = [ops.unstack(tensor) for tensor in tree.flatten(inputs)]
    steps = [tree.pack_sequence_as(inputs, list(column)) for column in zip(*columns, strict=True)]
    if not steps:
        return _no_steps(step, inputs, state), state
    outputs = []
    for inputs_t in reversed(steps) if reverse else steps:
        outputs_t, state = step(inputs_t, state)
        outputs.append(outputs_t)
    if reverse:
        outputs.reverse()
    return tree.map_structure(lambda *column: ops.stack(column), *outputs), state


def _no_steps(step, inputs, state):
    """The outputs of no step at all, with the shapes and dtypes of one."""
    first = tree.map_structure(lambda tensor: ops.zeros(ops.shape(tensor)[1:], tensor.dtype), inputs)
    return tree.map_structure(lambda tensor: ops.stack([tensor])[:0], step(first, state)[0])


def _tensorflow_loop(step, inputs, state, reverse):
    import tensorflow as tf

    length = tf.shape(tree.flatten(inputs)[0])[0]
    outputs_spec = _output_spec(step, inputs, state)
    sources = [tf.TensorArray(tensor.dtype, length).unstack(tensor) for tensor in tree.flatten(inputs)]
    sinks = [tf.TensorArray(spec.dtype, length, element_shape=spec.shape) for spec in tree.flatten(outputs_spec)]

    def body(count, flat_state, sinks):
        time = length - 1 - count if reverse else count
        inputs_t = tree.pack_sequence_as(inputs, [source.read(time) for source in sources])
        outputs_t, new_state = step(inputs_t, tree.pack_sequence_as(state, flat_state))
        sinks = [sink.write(time, tensor) for sink, tensor in zip(sinks, tree.flatten(outputs_t), strict=True)]
        return count + 1, tree.flatten(new_state), sinks

    _, flat_state, sinks = tf.while_loop(
        lambda count, *_: count < length, body, (0, tree.flatten(state), sinks), maximum_iterations=length
    )
    outputs = tree.pack_sequence_as(outputs_spec, [sink.stack() for sink in sinks])
    return outputs, tree.pack_sequence_as(state, flat_state)


def _output_spec(step, inputs, state):
    """Structure, shapes and dtypes of what one step puts out: traced aside, never run."""
    import tensorflow as tf

    inputs_spec = tree.map_structure(lambda tensor: tf.TensorSpec(tensor.shape[1:], tensor.dtype), inputs)
    state_spec = tree.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), state)
    traced = tf.function(step, autograph=False).get_concrete_function(inputs_spec, state_spec)
    return traced.structured_outputs[0]


def _jax_loop(step, inputs, state, reverse):
    """`jax.lax.scan`, which carries what the step assigns too: the states of the generators of its dropouts."""
    import jax

    assigned = {}

    def scan(variables):
        def body(carry, inputs_t):
            state, values = carry
            with _Inside(zip(variables, values, strict=True)) as scope:
                outputs_t, state = step(inputs_t, state)
            assigned.update(scope.assigned)
            return (state, [scope.get_current_value(variable) for variable in variables]), outputs_t

        values = [variable.value for variable in variables]
        return jax.lax.scan(body, (state, values), inputs, reverse=reverse)

    (last, _), outputs = scan([])
    if assigned:  # again, now that they are known
        variables = list(assigned.values())
        (last, values), outputs = scan(variables)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return outputs, last


class _Inside(keras.StatelessScope):
    """The scope around it, with other values of some variables; it notes which variables are assigned."""

    def __init__(self, values):
        super().__init__(values, initialize_variables=False)
        around = get_stateless_scope()
        if around is not None:
            self.state_mapping = around.state_mapping | self.state_mapping
        self.assigned = {}

    def add_update(self, update):
        self.assigned[id(update[0])] = update[0]
        super().add_update(update)


def _time_first(tensor):
    return ops.swapaxes(tensor, 0, 1)


def _batch_first(tensor):
    return ops.swapaxes(tensor, 0, 1)
