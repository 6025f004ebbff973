"""What an importer gives."""

from typing import Any, NamedTuple


class Imported(NamedTuple):
    """A model that others trained, and what it needs to go from strings to strings: arguments of `TextToText`."""

    model: Any
    source_tokenizer: Any
    target_tokenizer: Any
    strategy: Any
    max_length: int
    max_source_length: int
