"""What a command does around its work: TensorFlow imported quickly and quietly, warnings as plain lines."""

import contextlib
import gc
import os
import sys
import tempfile
import warnings


def import_tensorflow():
    """Imports TensorFlow without the notes that it prints while it starts; shows them if it fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryFile() as notes:
        stderr = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            with _in_haste():
                import tensorflow  # noqa: F401
                import tensorflow_text  # noqa: F401
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def _in_haste():
    """Makes an import of TensorFlow take less time.

    The garbage collector does not look through a million objects that all stay.
    Keras, which comes along, goes without the libraries that it has for plots
    and tables; whoever wants them imports them later.
    """
    hidden = {name for name in ("matplotlib", "pandas") if name not in sys.modules}
    sys.modules.update(dict.fromkeys(hidden))  # to import what is None is an ImportError
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def plain_warnings():
    """Shows warnings of this package as a line of the command's."""
    package, shown = os.path.dirname(os.path.dirname(__file__)), warnings.showwarning

    def show(message, category, filename, *more):
        if filename.startswith(package):
            print(f"keras-attention: {message}", file=sys.stderr)
        else:
            shown(message, category, filename, *more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown
