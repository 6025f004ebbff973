"""Turing machines that learn to sort, on JAX, for a GPU: `KERAS_BACKEND=jax python benchmarks/sorting.py far`.

Each machine of `MACHINES` is trained four times side by side (`jax.vmap`), with the learning rates and the growth that
stand there: over a fraction of the time the sequences grow from 2 vectors to 20; 0 begins with 20. The rate falls as a
cosine over the time. One line of results every ten seconds, of sequences of 20 vectors; the last one is the mean of
2,048 of them. Needs no TensorFlow but to import the package.
"""

import argparse
import json
import pathlib
import time

import jax
import jax.numpy as jnp
import keras
import numpy as np

from keras_attention.layers import TuringMachine, TuringMachineCell

GIVEN, KEPT, BITS = 20, 16, 8
TIME = GIVEN + 1 + KEPT
WARMUP, CLIP, CALL = 200, 20.0, 50

MACHINES = {
    "lstm": (
        {"units": 100, "slots": 32, "read_heads": 4, "write_heads": 4},
        {"rates": (1e-3, 1e-3, 3e-4, 2e-3), "growth": (0, 0.3, 0.3, 0.3), "batch": 128},
    ),
    "wide": (
        {"units": 512, "slots": 128, "read_heads": 8, "write_heads": 8, "controller": "feed_forward"},
        {"rates": (3e-4, 1e-3, 3e-4, 1e-3), "growth": (0, 0, 0.3, 0.3), "batch": 64},
    ),
    "far": (
        {"units": 200, "slots": 64, "read_heads": 5, "write_heads": 5, "shifts": 8},
        {"rates": (1e-3, 1e-3, 3e-4, 2e-3), "growth": (0, 0.3, 0.3, 0.3), "batch": 128},
    ),
}


def sequences(key, given, count):
    """`make_priority_sort` in JAX, of a traced number of vectors: inputs, targets, and what counts."""
    of_vectors, of_priority = jax.random.split(key)
    vectors = jax.random.bernoulli(of_vectors, 0.5, (count, GIVEN, BITS)).astype("float32")
    priority = jax.random.uniform(of_priority, (count, GIVEN), minval=-1, maxval=1)
    live, at = jnp.arange(GIVEN) < given, jnp.arange(TIME)
    order = jnp.argsort(-jnp.where(live, priority, -9.0), axis=1)
    ranked = jnp.take_along_axis(vectors, order[..., None], axis=1)
    shown = jnp.concatenate([vectors, priority[..., None], jnp.zeros((count, GIVEN, 1))], -1) * live[:, None]
    inputs = jnp.concatenate([shown, jnp.zeros((count, TIME - GIVEN, BITS + 2))], 1)
    inputs = inputs.at[:, :, BITS + 1].add((at == given).astype("float32"))
    kept = jnp.ceil(given * KEPT / GIVEN)
    counts = ((at > given) & (at <= given + kept)).astype("float32")
    targets = ranked[:, jnp.clip(at - given - 1, 0, GIVEN - 1)] * counts[:, None]
    return inputs, targets, counts[:, None]


def number_given(key, part, growth):
    """How many vectors, after a part of the time: half of the time as many as may be, else fewer."""
    of_number, of_choice = jax.random.split(key)
    most = jnp.clip(2 + (GIVEN - 2) * part / jnp.maximum(growth, 1e-6), 2, GIVEN)
    fewer = jnp.minimum(jnp.floor(jax.random.uniform(of_number, minval=2, maxval=most + 1)), GIVEN)
    growing = jnp.where(jax.random.uniform(of_choice) < 0.5, jnp.floor(most), fewer)
    return jnp.where(part >= growth, GIVEN, growing).astype("int32")


class Trainer:
    """The functions of one machine, compiled."""

    def __init__(self, cell, rates, growth, batch):
        self.rates, self.growth, self.batch = jnp.array(rates), jnp.array(growth, "float32"), batch
        self.model, self.weights = None, []
        for seed in range(len(rates)):
            keras.utils.set_random_seed(seed)
            inputs = keras.Input((None, BITS + 2))
            read = TuringMachine(TuringMachineCell(memory="learned", **cell))(inputs).output
            self.model = keras.Model(inputs, keras.layers.Dense(BITS)(read))
            self.weights.append([variable.value for variable in self.model.trainable_variables])
        self.weights = [jnp.stack(rows) for rows in zip(*self.weights, strict=True)]
        self.fixed = [variable.value for variable in self.model.non_trainable_variables]
        self.train = jax.jit(self._train)
        self.measure = jax.jit(self._measure)

    def _loss(self, weights, inputs, targets, counts):
        logits, _ = self.model.stateless_call(weights, self.fixed, inputs)
        nats = jnp.maximum(logits, 0) - logits * targets + jnp.log1p(jnp.exp(-jnp.abs(logits)))
        wrong = ((logits > 0) != (targets > 0.5)) * counts
        return (nats * counts).sum((1, 2)).mean(), wrong.sum((1, 2)).mean()

    def _update(self, weights, first, second, rate, growth, step, part, key):
        """One update of Adam, of one of the four."""
        of_number, of_batch = jax.random.split(key)
        batch = sequences(of_batch, number_given(of_number, part, growth), self.batch)
        (loss, _), slopes = jax.value_and_grad(self._loss, has_aux=True)(weights, *batch)
        norm = jnp.sqrt(sum(jnp.sum(slope * slope) for slope in slopes))
        finite = jnp.isfinite(norm)
        scale = jnp.where(finite, jnp.minimum(1.0, CLIP / (norm + 1e-9)), 0.0)
        slopes = [jnp.where(finite, slope * scale, 0.0) for slope in slopes]
        rate = rate * jnp.minimum(1.0, step / WARMUP) * (0.51 + 0.49 * jnp.cos(jnp.pi * jnp.minimum(part, 1.0)))
        first = [0.9 * mean + 0.1 * slope for mean, slope in zip(first, slopes, strict=True)]
        second = [0.999 * mean + 0.001 * slope**2 for mean, slope in zip(second, slopes, strict=True)]
        one, two = 1 - 0.9**step, 1 - 0.999**step
        weights = [
            weight - rate * (mean / one) / (jnp.sqrt(square / two) + 1e-8)
            for weight, mean, square in zip(weights, first, second, strict=True)
        ]
        return weights, first, second, loss

    def _train(self, state, begin, part, key):
        def body(state, index):
            keys = jax.random.split(jax.random.fold_in(key, begin + index), len(self.rates))
            *state, loss = jax.vmap(self._update, (0, 0, 0, 0, 0, None, None, 0))(
                *state, self.rates, self.growth, (begin + index + 1).astype("float32"), part, keys
            )
            return tuple(state), loss

        return jax.lax.scan(body, state, jnp.arange(CALL))

    def _measure(self, weights, key):
        batch = sequences(key, GIVEN, 128)
        return jax.vmap(lambda one: self._loss(one, *batch)[1])(weights)

    def wrong_bits(self, weights, batches, seed):
        found = [np.asarray(self.measure(weights, jax.random.key(seed + index))) for index in range(batches)]
        return np.mean(found, axis=0).round(3).tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machine", choices=MACHINES)
    parser.add_argument("--seconds", type=float, default=490, help="compilation included")
    parser.add_argument("--output", type=pathlib.Path, help="file for the lines of results, too")
    options = parser.parse_args()
    jax.config.update("jax_default_matmul_precision", "highest")
    cell, training = MACHINES[options.machine]
    trainer = Trainer(cell, **training)
    zeros = [jnp.zeros_like(weight) for weight in trainer.weights]
    state, updates, began, shown = (trainer.weights, zeros, zeros), 0, time.perf_counter(), 0.0
    while (passed := time.perf_counter() - began) < options.seconds:
        state, loss = trainer.train(state, updates, passed / options.seconds, jax.random.key(5))
        jax.block_until_ready(loss)
        updates += CALL
        if time.perf_counter() - shown > 10:
            shown = time.perf_counter()
            show(options, updates, time.perf_counter() - began, trainer.wrong_bits(state[0], 4, 100))
    show(options, updates, time.perf_counter() - began, trainer.wrong_bits(state[0], 16, 1000))


def show(options, updates, seconds, wrong_bits):
    line = json.dumps({"updates": updates, "seconds": round(seconds, 1), "wrong_bits": wrong_bits})
    print(line, flush=True)
    if options.output:
        with options.output.open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
