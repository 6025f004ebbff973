"""The models that come with the package: a folder of exports, as a server wants it."""

import pathlib

FOLDER = pathlib.Path(__file__).parent
# Reads dates of all locales; see MODEL_CARD.md beside it.
DATES = FOLDER / "dates"
