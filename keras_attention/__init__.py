"""Attention layers for Keras 3, and the sequence-to-sequence models they make.

Names are imported when they are first used, so that the command line can answer
before TensorFlow is there. As soon as both this package and Keras are imported,
in whatever order, every layer and model is too, so that Keras can load files
that hold one.
"""

import ast
import importlib
import pathlib
import sys

__version__ = "0.1.0"


def _names(stub):
    """The module of each public name, and the subpackages: what the file for editors imports."""
    imports = [node for node in ast.parse(stub.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    names = {alias.name: node.module for node in imports for alias in node.names}
    return {name: module for name, module in names.items() if module}, [name for name in names if not names[name]]


_PUBLIC, _SUBPACKAGES = _names(pathlib.Path(__file__).with_suffix(".pyi"))

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    if name in _PUBLIC:
        _register()
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, *_SUBPACKAGES])


def _register():
    """Makes all that Keras may find in a file known to it."""
    for package in ("layers", "models", "training"):
        importlib.import_module(f"{__name__}.{package}")


class _WhenKerasIsImported:
    """A finder of modules that registers as soon as Keras has been imported, by whomever.

    If one of our own packages imports it, as the first thing that it does, the
    others are imported before that one goes on.
    """

    def find_spec(self, name, path, target=None):
        if name != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            self._register_after(spec.loader)
        return spec

    def _register_after(self, loader):
        execute = loader.exec_module

        def exec_module(module):
            del loader.exec_module
            execute(module)
            sys.meta_path.remove(self)
            _register()

        loader.exec_module = exec_module


if "keras" in sys.modules:
    _register()
else:
    sys.meta_path.insert(0, _WhenKerasIsImported())
