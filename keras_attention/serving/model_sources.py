"""Which models a server serves: those in a folder, or those that a configuration file names.

A source has one method, `models()`, which gives a `ModelConfig` for each model
name. It is called again and again, so that what changes on disk is found.
"""

import pathlib
from types import MappingProxyType
from typing import NamedTuple

from keras_attention.export.saved_task import version_folders
from keras_attention.serving.logs import LOG


class ModelConfig(NamedTuple):
    """Where the versions of a model lie, and which of them are served.

    Attributes:
        base_path: folder that holds a folder for each version.
        most: number of versions to serve, from the highest down; None for all.
        specific: version numbers to choose from; empty for any.
        labels: dict of version labels to version numbers.
    """

    base_path: pathlib.Path
    most: int | None = 1
    specific: frozenset = frozenset()
    labels: MappingProxyType = MappingProxyType({})

    def folders(self):
        """The folders of the versions that may be served, by version number."""
        found = version_folders(self.base_path)
        return {number: place for number, place in found.items() if not self.specific or number in self.specific}


class ModelsFolder:
    """The models in a folder, the highest version of each.

    Args:
        folder: the models' folder, or one model's, with versions right in it.

    Raises:
        FileNotFoundError: if the folder is not there.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"{folder} is not a folder. Export a model into it: `keras-attention export RUN {folder}/NAME`."
            )

    def __str__(self):
        return str(self.folder)

    def models(self):
        """A `ModelConfig` by model name."""
        if version_folders(self.folder):
            return {self.folder.resolve().name: ModelConfig(self.folder)}
        places = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return {path.name: ModelConfig(path) for path in places}


class ConfigFile:
    """The models that a file in TensorFlow Serving's format names, a `ModelServerConfig` in protobuf's text format.

    The file is read again when it has changed. One that is wrong by then is
    reported in the log, and what it said before goes on.

    Args:
        file: its path. A `base_path` in it that is relative starts at the
            file's folder.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no such configuration.
    """

    def __init__(self, file):
        self.file = pathlib.Path(file)
        self._seen = self._look()
        self._models = read_config(self.file)

    def __str__(self):
        return str(self.file)

    def models(self):
        """A `ModelConfig` by model name."""
        look = self._look()
        if look != self._seen:
            try:
                self._models = read_config(self.file)
                LOG.info("model configuration read", extra={"fields": {"file": str(self.file)}})
            except ValueError as error:
                LOG.error("wrong model configuration; the one before goes on", extra={"fields": {"error": str(error)}})
            self._seen = look
        return self._models

    def _look(self):
        status = self.file.stat()
        return status.st_size, status.st_mtime_ns, status.st_ino


def source_of(path):
    """The `ConfigFile` or the `ModelsFolder` at a path, with what they raise."""
    return ConfigFile(path) if pathlib.Path(path).is_file() else ModelsFolder(path)


def read_config(file):
    """The models of a configuration file, a `ModelConfig` by name.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no `ModelServerConfig`, or asks for what this
            server has not.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    try:
        config = text_format.Parse(file.read_bytes(), model_server_config_pb2.ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} must hold a ModelServerConfig in protobuf's text format: {error}") from None
    if config.WhichOneof("config") != "model_config_list":
        raise ValueError(f"{file} must have a model_config_list. Received {config.WhichOneof('config') or 'nothing'}.")
    models = {}
    for entry in config.model_config_list.config:
        if entry.name in models:
            raise ValueError(f"{file} names the model '{entry.name}' twice; give each a name of its own.")
        models[entry.name] = _model_config(entry, file)
    return models


def _model_config(entry, file):
    if not entry.name or not entry.base_path:
        raise ValueError(f"{file}: each config needs a name and a base_path. Received:\n{entry}")
    if entry.model_platform not in ("", "tensorflow"):
        raise ValueError(f"{file}: model_platform must be 'tensorflow'. Received '{entry.model_platform}'.")
    if entry.HasField("logging_config"):
        raise ValueError(f"{file}: logging_config is not supported here. Remove it from the model '{entry.name}'.")
    policy = entry.model_version_policy
    chosen = policy.WhichOneof("policy_choice")
    if chosen == "specific" and not policy.specific.versions:
        raise ValueError(f"{file}: the policy 'specific' of the model '{entry.name}' must name at least one version.")
    return ModelConfig(
        file.parent / entry.base_path,
        max(1, policy.latest.num_versions) if chosen in (None, "latest") else None,
        frozenset(policy.specific.versions),
        MappingProxyType(dict(entry.version_labels)),
    )
