"""A trained Transformer in another dtype."""

import keras

from keras_attention.models import TransformerTranslator
from keras_attention.settings import DTYPES


def in_dtype(model, dtype):
    """The same model, whose layers keep their weights in another dtype and compute in it.

    Args:
        model: a `TransformerTranslator`.
        dtype: `"float32"`, or `"bfloat16"`, of half the bytes and three
            significant digits.

    Returns:
        A new model with the weights rounded.

    Raises:
        ValueError: for another dtype or another model.
    """
    if dtype not in DTYPES:
        raise ValueError(f"in_dtype: dtype must be one of {', '.join(map(repr, DTYPES))}. Received {dtype!r}.")
    if not isinstance(model, TransformerTranslator):
        raise ValueError(
            f"in_dtype: only a Transformer gains from another dtype. Received a "
            f"{type(model).__name__}; leave dtype out."
        )
    changed = keras.saving.deserialize_keras_object(_with_policy(keras.saving.serialize_keras_object(model), dtype))
    changed.set_weights(model.get_weights())
    return changed


def _with_policy(config, dtype):
    """A config with another policy wherever it has one."""
    if isinstance(config, (list, tuple)):
        return type(config)(_with_policy(each, dtype) for each in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return config | {"config": config["config"] | {"name": dtype}}
    return {name: _with_policy(each, dtype) for name, each in config.items()}
