"""Exports that no fresh process looks at: what is tested is something else of them, and the check takes seconds."""

import contextlib

import pytest


@contextlib.contextmanager
def unchecked_exports():
    """Within it an export is not checked."""
    from keras_attention.export import saved_model  # needs TensorFlow, which not every backend has

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_model, "_check", lambda *arguments: None)
        yield
