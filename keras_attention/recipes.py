"""The recipe that trains a converter from pairs of strings, start to end.

The command line and the examples use it; a model of your own is trained with
plain `compile` and `fit`, as it does.
"""

import pathlib

import keras
import numpy as np

from keras_attention.data.batches import make_batches
from keras_attention.models.date_converter import DateConverter
from keras_attention.text.tokenizers import CharacterTokenizer
from keras_attention.text_to_text import TextToText
from keras_attention.training.objectives import ExactMatch, MaskedCrossentropy


def train_converter(
    pairs,
    validation_pairs,
    epochs=4,
    batch_size=128,
    learning_rate=4e-3,
    seed=0,
    folder=None,
    callbacks=(),
    verbose="auto",
    **model_arguments,
):
    """Trains a `DateConverter` on pairs of short strings.

    Adam with a warmed-up cosine schedule and gradient clipping. With a folder,
    each epoch leaves a backup there, a call with the same arguments goes on
    after the last one that was finished, and the trained converter is saved.

    Args:
        pairs: list of `(source, target)` to learn.
        validation_pairs: list of `(source, target)` to measure on after each
            epoch: `val_exact_match` is the accuracy of greedy conversion.
        epochs: passes over the pairs.
        batch_size: pairs in an update.
        learning_rate: highest of the schedule.
        seed: of the weights and the order of the pairs.
        folder: where to keep backups and save; None keeps nothing.
        callbacks: Keras callbacks.
        verbose: as in `fit`.
        **model_arguments: of `DateConverter`, such as `units` or `attention`.

    Returns:
        A `TextToText`; its `model.history` is that of `fit`.

    Raises:
        ValueError: if one of the lists is empty.
        FloatingPointError: if the loss is not a number any more; nothing is
            saved then.

    Reference: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent
        with Warm Restarts", 3, for the schedule.
    """
    if not pairs or not validation_pairs:
        raise ValueError(
            f"train_converter: both lists must hold pairs. Received {len(pairs)} to learn and {len(validation_pairs)} "
            "to measure on."
        )
    keras.utils.set_random_seed(seed)
    source_tokenizer = CharacterTokenizer.train(source for source, _ in pairs)
    target_tokenizer = CharacterTokenizer.train(target for _, target in pairs)
    model = DateConverter(len(source_tokenizer.vocabulary), len(target_tokenizer.vocabulary), **model_arguments)
    steps = epochs * -(-len(pairs) // batch_size)
    model.compile(
        optimizer=keras.optimizers.Adam(warmed_up_cosine(learning_rate, steps), beta_2=0.98, global_clipnorm=1.0),
        loss=MaskedCrossentropy(),
        metrics=[ExactMatch()],
    )
    tokenizers = (source_tokenizer, target_tokenizer)
    callbacks = [*callbacks, keras.callbacks.TerminateOnNaN()]
    if folder is not None:
        callbacks.append(keras.callbacks.BackupAndRestore(pathlib.Path(folder) / "backup"))
    history = model.fit(
        make_batches(pairs, *tokenizers, batch_size, shuffle_seed=seed, fixed_shapes=True),
        validation_data=make_batches(validation_pairs, *tokenizers, batch_size=1024, fixed_shapes=True),
        epochs=epochs,
        callbacks=callbacks,
        shuffle=False,  # the dataset shuffles
        verbose=verbose,
    )
    if not np.isfinite(history.history["loss"][-1]):
        raise FloatingPointError("train_converter: the loss is not a number. Lower learning_rate; nothing was saved.")
    longest = max(len(target) for _, target in [*pairs, *validation_pairs])
    converter = TextToText(model, *tokenizers, max_length=2 * longest)
    if folder is not None:
        converter.save(folder)
    return converter


def warmed_up_cosine(learning_rate, steps, warmup=0.1):
    """A schedule that rises over the first `warmup` of the steps and falls to zero along a cosine."""
    rising = max(1, int(steps * warmup))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - rising), warmup_target=learning_rate, warmup_steps=rising
    )
