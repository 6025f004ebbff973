"""Random numbers of the piecewise paths: a seed of Keras, in the form that each backend's own functions take."""

import contextlib

import numpy as np


def jax_key(seed):
    """JAX's key of a seed that a `keras.random.SeedGenerator` gave: integers `(2,)`, of which the second counts."""
    import jax

    return jax.random.wrap_key_data(seed.astype("uint32"))


@contextlib.contextmanager
def torch_seeded(seed, device):
    """Torch's own generators, started from a seed of Keras and put back afterwards; None leaves them alone."""
    import torch

    if seed is None:
        yield
        return
    number = np.random.SeedSequence([int(number) for number in seed]).generate_state(1)[0]  # it takes 32 bits
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(number))
        yield
