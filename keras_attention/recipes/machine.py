"""The recipe for Turing machines that learn an algorithm."""

import dataclasses
import pathlib

import keras
from keras import ops

from keras_attention.data.algorithms import ALGORITHMS
from keras_attention.data.ordered_batches import MadeBatches
from keras_attention.layers import TuringMachine, TuringMachineCell
from keras_attention.recipes.begins import split_given
from keras_attention.settings import MachineSettings
from keras_attention.training.checkpoints import Checkpoints
from keras_attention.training.runs import begun, described_model, fit_rounds, keep_best


def train_machine(algorithm, folder, settings=None, task=None, may_change=(), callbacks=(), verbose="auto", **given):
    """Trains a neural Turing machine on sequences of bits, each seen once, and can be stopped at any moment.

    Args:
        algorithm: a name in `ALGORITHMS`, such as `"copy"`.
        folder: where checkpoints are kept, and the model is saved, as
            `model.keras`; see `train_converter`.
        settings: a `MachineSettings`.
        task: dict of arguments of the algorithm, such as
            `{"lengths": (1, 20)}`.
        may_change: see `train_converter`.
        callbacks: Keras callbacks.
        verbose: as in `fit`.
        **given: fields of `MachineSettings`, instead of the record; and
            arguments of `TuringMachineCell`, of which `units` is 100 by default.

    Returns:
        A `keras.Model` of inputs `(batch, time, channels)`, of any time, which
        gives a dict of `bits`, the probability that each is 1, and
        `read_weights` and `write_weights`, `(batch, time, heads, slots)`.

    Raises:
        ValueError: for another algorithm, or one that has to remember more
            vectors than the machine has slots, or wider ones.
        FloatingPointError: if the loss is not a number any more.

    Reference: Graves et al. 2014, "Neural Turing Machines", 4; Collier and Beel
        2018, "Implementing Neural Turing Machines".
    """
    if algorithm not in ALGORITHMS:
        known = ", ".join(map(repr, ALGORITHMS))
        raise ValueError(f"train_machine: algorithm must be one of {known}. Received {algorithm!r}.")
    settings, cell_arguments = split_given(MachineSettings, settings, given)
    folder, task = pathlib.Path(folder), task or {}
    make = ALGORITHMS[algorithm]
    keras.utils.set_random_seed(settings.seed)
    cell = TuringMachineCell(**({"units": 100} | cell_arguments))
    measured = make(settings.measured, **task, seed=(settings.seed, 1))
    _check_fits(algorithm, cell, measured.kept)
    model, machine = make_models(cell, measured.inputs.shape[-1], measured.targets.shape[-1])

    def made(seed):
        sequences = make(settings.batch_size, **task, seed=(*seed, 0))
        return sequences.inputs, sequences.targets, sequences.counts

    batches = MadeBatches(made, settings.round_updates, settings.seed)
    model.compile(
        # Keras' loss is a mean over steps and bits, too, where the paper's is their sum; Adam takes both alike.
        keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm / measured.targets[0].size),
        keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=[_WrongBits(name="wrong_bits")],
        jit_compile=keras.backend.backend() != "torch",
    )
    checkpoints = Checkpoints(folder / "checkpoints", keep=1, monitor="val_wrong_bits", goal=(0.0, settings.patience))
    record = {"algorithm": algorithm, **task, **dataclasses.asdict(settings), **described_model(cell)}
    with begun(folder, "train_machine", record, checkpoints, may_change):
        fit_rounds(
            "train_machine",
            model,
            batches,
            checkpoints,
            settings.updates,
            callbacks=callbacks,
            verbose=verbose,
            validation_data=(measured.inputs, measured.targets, measured.counts),
            validation_batch_size=min(64, settings.measured),
        )
        sentence = keep_best(model, checkpoints)
    if verbose:
        print(sentence)
    machine.save(folder / "model.keras")
    return machine


def make_models(cell, channels, bits):
    """A model that is trained, of logits, and one that is used, of bits and weights, around the same layers."""
    inputs = keras.Input((None, channels), name="inputs")
    said = TuringMachine(cell, name="machine")(inputs)
    logits = keras.layers.Dense(bits, name="logits")(said.output)
    shown = {
        "bits": keras.layers.Activation("sigmoid", name="bits")(logits),
        "read_weights": said.read_weights,
        "write_weights": said.write_weights,
    }
    return keras.Model(inputs, logits, name="trained"), keras.Model(inputs, shown, name="turing_machine")


def _check_fits(algorithm, cell, kept):
    """Raises a ValueError unless what has to be remembered fits into the memory."""
    vectors, bits = kept
    if vectors > cell.slots or bits > cell.width:
        raise ValueError(
            f"train_machine: {algorithm} has to remember up to {vectors} vectors of {bits} bits. Received a memory of "
            f"{cell.slots} slots of {cell.width}. Give slots={max(vectors, cell.slots)} and "
            f"width={max(bits, cell.width)}, or a smaller task."
        )


class _WrongBits(keras.metrics.Mean):
    """Wrong bits of a sequence, of those that count."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        wrong = ops.cast(ops.not_equal(y_true > 0.5, y_pred > 0), "float32")
        super().update_state(ops.sum(wrong * ops.cast(sample_weight, "float32")[..., None], axis=(1, 2)))
