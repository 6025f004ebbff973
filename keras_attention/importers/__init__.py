"""Models that others have trained and published, with their weights, tokenizers and options of decoding."""

from keras_attention.importers.files import Folder
from keras_attention.importers.imported import Imported
from keras_attention.importers.m2m100 import import_m2m100
from keras_attention.importers.marian import import_marian
from keras_attention.importers.mbart import import_mbart

# By the `model_type` of config.json.
IMPORTERS = {"m2m_100": import_m2m100, "marian": import_marian, "mbart": import_mbart}

__all__ = ["IMPORTERS", "Folder", "Imported", "import_checkpoint"]


def import_checkpoint(folder, architecture=None, **options):
    """The model of a folder, with its tokenizers and its way to decode.

    Args:
        folder: a folder as a hub has it.
        architecture: a name of `IMPORTERS`; None takes what `config.json` says.
        **options: of the importer: `source_language`, `target_language`, and
            those of `generation_config.json`, such as `num_beams`.

    Returns:
        `Imported`.

    Raises:
        FileNotFoundError: for a folder or a file that is missing, by its name.
        ValueError: for another architecture, or an option that is not
            supported.
    """
    folder = Folder(folder)
    found = folder.config.get("model_type")
    if found not in IMPORTERS or architecture not in (None, found):
        wanted = f"of a {architecture} model" if architecture else f"of one of {', '.join(IMPORTERS)}"
        raise ValueError(f"{folder.path}: config.json must be {wanted}. Received model_type={found!r}.")
    return IMPORTERS[found](folder, **options)
