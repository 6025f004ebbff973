"""The command line: parses flags, calls the library, holds no logic."""

from keras_attention.cli.commands import build_parser, main

__all__ = ["build_parser", "main"]
