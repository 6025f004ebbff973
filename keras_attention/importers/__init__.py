"""Models that others have trained and published, with their weights, tokenizers and options of decoding."""

from keras_attention.importers.files import Folder
from keras_attention.importers.imported import Imported
from keras_attention.importers.keras_recurrent import import_keras_recurrent
from keras_attention.importers.m2m100 import import_m2m100
from keras_attention.importers.marian import import_marian
from keras_attention.importers.mbart import import_mbart
from keras_attention.importers.tutorial_transformer import import_tutorial_transformer

# By the name of the architecture: the `model_type` of its config.json, None without one, and what reads it.
IMPORTERS = {
    "marian": ("marian", import_marian),
    "m2m100": ("m2m_100", import_m2m100),
    "nllb": ("m2m_100", import_m2m100),
    "mbart": ("mbart", import_mbart),
    "tutorial-transformer": (None, import_tutorial_transformer),
    "keras-recurrent": (None, import_keras_recurrent),
}

__all__ = ["IMPORTERS", "Folder", "Imported", "import_checkpoint"]


def import_checkpoint(folder, architecture=None, **options):
    """The model of a folder, with its tokenizers and its way to decode.

    Args:
        folder: a folder as a hub has it; or a name on Hugging Face's hub, if
            the `huggingface_hub` package is there.
        architecture: a name of `IMPORTERS`; None takes what `config.json` says,
            which models of projects of their own do not have.
        **options: options of the importer, such as `source_language`, and those of
            `generation_config.json`, such as `num_beams`.

    Returns:
        `Imported`.

    Raises:
        FileNotFoundError: for a folder or a file that is missing, by its name.
        ValueError: for another architecture, or an option that is not
            supported.
    """
    folder = Folder.of(folder)
    wanted, read = IMPORTERS[architecture] if architecture else (None, None)
    if architecture and wanted is None:
        return read(folder, **options)
    by_type = {model_type: read for model_type, read in IMPORTERS.values() if model_type}
    if not architecture and not folder.has("config.json"):
        names = ", ".join(repr(name) for name, (model_type, _) in IMPORTERS.items() if model_type is None)
        raise FileNotFoundError(f"{folder.path} has no config.json. Name the architecture of a model without: {names}.")
    found = folder.config.get("model_type")
    if found not in by_type or (wanted or found) != found:
        expected = repr(wanted) if architecture else f"one of {', '.join(map(repr, by_type))}"
        raise ValueError(f"{folder.path}: model_type in config.json must be {expected}. Received {found!r}.")
    return by_type[found](folder, **options)
