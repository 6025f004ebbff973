"""What lies in the folder of a published model: its configuration and its weights as NumPy arrays."""

import json
import pathlib

import numpy as np

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


class Folder:
    """The folder of a checkpoint, as a hub has it.

    Args:
        path: the folder.

    Raises:
        FileNotFoundError: without the folder or its `config.json`.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not self.path.is_dir():
            raise FileNotFoundError(f"There is no folder {self.path}. Give the folder of a downloaded checkpoint.")
        self.config = self.json("config.json")

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
        there = ", ".join(sorted(each.name for each in self.path.iterdir())) or "nothing"
        raise FileNotFoundError(f"{self.path} has no {' or '.join(names)}. It holds {there}.")

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
            tensors |= _of_safetensors(each) if each.suffix == ".safetensors" else _of_torch(each)
        return tensors


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
            f"{file.name} needs torch: pip install torch, or download model.safetensors, which does not."
        ) from error
    tensors = torch.load(file, map_location="cpu", weights_only=True)
    return {name: tensor.float().numpy() for name, tensor in tensors.items()}
