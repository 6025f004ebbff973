"""What every recipe begins with: its settings, and a record of what it is given."""

import dataclasses
import functools
import zlib

from keras_attention.training.runs import described_model, described_pairs


def split_given(record, settings, given):
    """The fields of a record, and the arguments of a model, of what was given together."""
    fields = {name: value for name, value in given.items() if name in record.names()}
    return record.of(settings, fields), {name: value for name, value in given.items() if name not in fields}


def record_of(pairs, validation_pairs, tokenizers, settings, model):
    """What a training is begun with, by the names of the arguments.

    Args:
        pairs: list of `(source, target)` to learn.
        validation_pairs: list of `(source, target)` to measure on.
        tokenizers: dict of tokenizers by their side.
        settings: a record.
        model: the model.
    """
    return {
        "pairs": described_pairs(pairs),
        "validation_pairs": described_pairs(validation_pairs),
        **{
            f"{side}_vocabulary": f"{len(tokenizer.vocabulary):,} ids, {tokenizer.vocabulary.fingerprint:08x}"
            for side, tokenizer in tokenizers.items()
        },
        **{
            f"{side}_{name}": value
            for side, tokenizer in tokenizers.items()
            for name, value in tokenizer.settings.items()
        },
        **dataclasses.asdict(settings),
        **described_model(model),
    }


def described_weights(model):
    """What a record says of the weights that a training begins with."""
    checksum = functools.reduce(lambda so_far, weight: zlib.crc32(weight.numpy().tobytes(), so_far), model.weights, 0)
    return f"weights of checksum {checksum:08x}"
