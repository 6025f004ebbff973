"""A trained model in another dtype."""

import keras


def in_dtype(model, dtype):
    """The same model, whose layers keep their weights in another dtype, and compute in it.

    Args:
        model: a `keras.Model` that is built and can be serialised.
        dtype: name of a dtype policy, such as `"bfloat16"`.

    Returns:
        A new model of rounded weights.
    """
    changed = keras.saving.deserialize_keras_object(_replaced(keras.saving.serialize_keras_object(model), dtype))
    changed.set_weights(model.get_weights())
    return changed


def _replaced(config, dtype):
    """A config with another policy wherever one is named."""
    if isinstance(config, (list, tuple)):
        return type(config)(_replaced(each, dtype) for each in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return config | {"config": config["config"] | {"name": dtype}}
    return {name: dtype if name == "dtype" and isinstance(each, str) else _replaced(each, dtype)
            for name, each in config.items()}  # fmt: skip
