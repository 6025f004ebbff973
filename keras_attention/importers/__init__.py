"""Models that others have trained and published, with their weights, tokenizers and options of decoding."""

from keras_attention.importers.files import Folder
from keras_attention.importers.imported import Imported
from keras_attention.importers.m2m100 import import_m2m100
from keras_attention.importers.marian import import_marian
from keras_attention.importers.mbart import import_mbart

# By the name of the architecture: the `model_type` of its config.json, and what reads it.
IMPORTERS = {
    "marian": ("marian", import_marian),
    "m2m100": ("m2m_100", import_m2m100),
    "nllb": ("m2m_100", import_m2m100),
    "mbart": ("mbart", import_mbart),
}

__all__ = ["IMPORTERS", "Folder", "Imported", "import_checkpoint"]


def import_checkpoint(folder, architecture=None, **options):
    """The model of a folder, with its tokenizers and its way to decode.

    Args:
        folder: a folder as a hub has it; or a name on Hugging Face's hub, if
            the `huggingface_hub` package is there.
        architecture: a name of `IMPORTERS`; None takes what `config.json` says.
        **options: options of the importer: `source_language`, `target_language`, and
            those of `generation_config.json`, such as `num_beams`.

    Returns:
        `Imported`.

    Raises:
        FileNotFoundError: for a folder or a file that is missing, by its name.
        ValueError: for another architecture, or an option that is not
            supported.
    """
    folder = Folder.of(folder)
    found = folder.config.get("model_type")
    by_type = {model_type: read for model_type, read in IMPORTERS.values()}
    wanted = IMPORTERS[architecture][0] if architecture else found
    if found not in by_type or wanted != found:
        expected = repr(wanted) if architecture else f"one of {', '.join(map(repr, by_type))}"
        raise ValueError(f"{folder.path}: model_type in config.json must be {expected}. Received {found!r}.")
    return by_type[found](folder, **options)
