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


def back_track(ids, parents, emissions, slots):
    """Follows hypotheses from their last step to their first.

    Args:
        ids: `(length, batch, width)`, the token that each beam took.
        parents: `(length, batch, width)`, the beam that it went on from.
        emissions: `(length, batch, width, ...)`, what each step put out for
            the beam that was gone on from.
        slots: `(batch, n_best)`, the beams to follow after the last step.

    Returns:
        `(ids, emissions)`: `(batch, n_best, length)` and
        `(batch, n_best, length, ...)`.
    """

    def earlier(carry, step):
        slots = carry[0]
        ids_t, parents_t, emissions_t = step
        parents_of_slots = tf.gather(parents_t, slots, batch_dims=1)
        found = (
            parents_of_slots,
            tf.gather(ids_t, slots, batch_dims=1),
            tf.gather(emissions_t, parents_of_slots, batch_dims=1),
        )
        return shaped_like(first, found)

    first = (slots, tf.zeros_like(slots), tf.gather(emissions[0], slots, batch_dims=1))
    _, ids, emissions = tf.scan(earlier, (ids, parents, emissions), first, reverse=True)
    return tuple(tf.experimental.numpy.moveaxis(tensor, 0, 2) for tensor in (ids, emissions))


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
