"""Re-ordering of beams, for any structure of tensors.

Rows are items times beams: row `item * width + beam`. A structure is anything
`tf.nest` knows: a state, a memory, one tensor.
"""

import tensorflow as tf


def repeat(structure, width):
    """Each row `width` times in a row: `(batch, ...)` to `(batch * width, ...)`."""
    if width == 1:
        return structure
    return tf.nest.map_structure(lambda tensor: tf.repeat(tensor, width, axis=0), structure)


def unfolded(tensor, width):
    """Items and beams apart: `(batch * width, ...)` to `(batch, width, ...)`."""
    if width == 1:
        return tf.expand_dims(tensor, 1)
    return tf.reshape(tensor, tf.concat([[-1, width], tf.shape(tensor)[1:]], axis=0))


def reorder(structure, parents):
    """The row of each beam's parent.

    Args:
        structure: tensors `(batch * width, ...)`.
        parents: `(batch, width)`, which beam of its item each beam goes on
            from.

    Returns:
        Tensors shaped as before.
    """
    batch, width = tf.unstack(tf.shape(parents))
    rows = tf.reshape(tf.range(batch)[:, None] * width + parents, [-1])
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), structure)


def back_track(ids, parents, times, slots, end, pad):
    """Follows hypotheses from their ends to their first steps.

    Args:
        ids: `(length, batch, width)`, the token that each beam took.
        parents: `(length, batch, width)`, the beam that it went on from.
        times: `(batch, n_best)`, the step in which each hypothesis ended.
        slots: `(batch, n_best)`, the beam that it was until then.
        end: id that it took there.
        pad: id of the steps after.

    Returns:
        `(ids, beams)`, `(length, batch, n_best)` each: the token of each step,
        and the beam that it was before it.
    """

    times, slots = times[None], slots[None]
    time = tf.range(tf.shape(ids)[0])[:, None, None]
    # The beam before each step, of every beam after it; once a hypothesis has ended it is that in which it ended.
    before = tf.where((time < times)[..., None], parents[:, :, None, :], slots[..., None])

    def twice_as_many(steps, before):
        """The beam before each step, of every beam after twice as many steps, or the last."""
        later = tf.gather(before[:-steps], before[steps:], batch_dims=3)
        return 2 * steps, tf.ensure_shape(tf.concat([later, before[-steps:]], axis=0), before.shape)

    _, before = tf.while_loop(lambda steps, before: steps < tf.shape(before)[0], twice_as_many, (1, before))
    beams = before[..., 0]
    tokens = tf.gather(ids, tf.concat([beams[1:], slots], axis=0), batch_dims=2)
    return tf.where(time < times, tokens, tf.where(time == times, end, pad)), beams


def growing(structure):
    """The same tensors, where an axis of static length zero may have any length later, as a loop must be told."""

    def any_length(tensor):
        if tf.executing_eagerly() or 0 not in tensor.shape:
            return tensor
        return tf.compat.v1.placeholder_with_default(tensor, [size or None for size in tensor.shape])

    return tf.nest.map_structure(any_length, structure)


def shaped_like(old, new):
    """`new`, with the static shapes of `old`: a gather forgets them, and a loop insists on them."""

    def shaped(before, after):
        return after if after.shape == before.shape else tf.ensure_shape(after, before.shape)

    return new if tf.executing_eagerly() else tf.nest.map_structure(shaped, old, new)
