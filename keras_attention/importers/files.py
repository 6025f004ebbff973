"""What lies in the folder of a published model: its configuration and its weights as NumPy arrays."""

import functools
import json
import pathlib
import pickle

import numpy as np

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


class Folder:
    """The folder of a checkpoint, as a hub has it.

    Args:
        path: the folder.

    Attributes:
        config: what `config.json` holds; where an architecture has none, what
            its importer sets.

    Raises:
        FileNotFoundError: without the folder.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not self.path.is_dir():
            raise FileNotFoundError(f"There is no folder {self.path}. Give the folder of a downloaded checkpoint.")

    @functools.cached_property
    def config(self):
        return self.json("config.json")

    @classmethod
    def of(cls, name):
        """The folder of that name; else what Hugging Face's hub has under it, downloaded."""
        if pathlib.Path(name).exists() or str(name).count("/") != 1 or str(name).startswith((".", "/")):
            return cls(name)
        try:
            from huggingface_hub import snapshot_download
        except ImportError as error:
            raise FileNotFoundError(
                f"There is no folder {name}. To download it from Hugging Face's hub: pip install huggingface_hub."
            ) from error
        patterns = ["*.json", "*.spm", "*.model", "*.safetensors", "*.bin"]
        return cls(snapshot_download(str(name), allow_patterns=patterns))

    def file(self, *names):
        """The path of the first of some files that is there.

        Raises:
            FileNotFoundError: if none is.
        """
        for name in names:
            if (self.path / name).is_file():
                return self.path / name
        raise self._missing(names)

    def only(self, *patterns):
        """The path of the one file whose name matches some patterns, such as `"*.pt"`.

        Raises:
            FileNotFoundError: if none does.
            ValueError: if several do.
        """
        found = self.all(*patterns)
        if not found:
            raise self._missing(patterns)
        if len(found) > 1:
            names = ", ".join(each.name for each in found)
            raise ValueError(f"{self.path} must have one {' or '.join(patterns)}. It has {names}.")
        return found[0]

    def all(self, *patterns):
        """The paths of the files whose names match some patterns, in order."""
        return sorted(each for pattern in patterns for each in self.path.glob(pattern) if each.is_file())

    def _missing(self, names):
        there = ", ".join(sorted(each.name for each in self.path.iterdir())) or "nothing"
        return FileNotFoundError(f"{self.path} has no {' or '.join(names)}. It holds {there}.")

    def has(self, name):
        """Whether a file is there."""
        return (self.path / name).is_file()

    def json(self, name):
        """What a JSON file holds.

        Raises:
            FileNotFoundError: without the file.
            ValueError: for a file that is no JSON.
        """
        try:
            return json.loads(self.file(name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{self.path / name} is no JSON: {error}") from error

    def generation_config(self):
        """Of `generation_config.json`, or what older checkpoints have in `config.json`."""
        return self.json("generation_config.json") if self.has("generation_config.json") else self.config

    def weights(self):
        """All weights: dict of float32 arrays.

        Raises:
            FileNotFoundError: without a file of weights.
            ImportError: without the package that reads it.
        """
        file = self.file(*_WEIGHTS)
        files = [file]
        if file.suffix == ".json":
            files = [self.file(name) for name in sorted(set(self.json(file.name)["weight_map"].values()))]
        tensors = {}
        for each in files:
            tensors |= tensors_of(each)
        return tensors


def tensors_of(file):
    """The weights in a file of PyTorch or safetensors: dict of float32 arrays.

    Raises:
        ImportError: without the package that reads it.
        ValueError: for a file that holds anything else.
    """
    return _of_safetensors(file) if file.suffix == ".safetensors" else _of_torch(file)


def _of_safetensors(file):
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise ImportError(f"{file.name} needs the safetensors package: pip install safetensors.") from error
    with safe_open(file, framework="np") as content:
        return {name: np.asarray(content.get_tensor(name), "float32") for name in content.keys()}  # noqa: SIM118  no dict


def _of_torch(file):
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{file.name} needs torch: pip install torch, or give the weights as .safetensors, which does not."
        ) from error
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
        return {name: tensor.float().numpy() for name, tensor in tensors.items()}
    except (AttributeError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{file} must hold weights alone, as `torch.save(model.state_dict(), file)` writes them; nothing else is "
            "read, because unpickling runs code. Save the state_dict again where the model is known."
        ) from error
