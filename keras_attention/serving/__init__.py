"""Serving: SavedModels over TensorFlow Serving's protocol, a page to look at them, and a client.

Needs the extra `serve`: `pip install ".[serve]"` in a clone of the repository.
"""
