"""Models of known sizes, and arguments that are handed on."""

from typing import ClassVar


def split_options(arguments, names):
    """Arguments of some names, and the others: two dicts."""
    return (
        {name: value for name, value in arguments.items() if name in names},
        {name: value for name, value in arguments.items() if name not in names},
    )


class Sized:
    """What models of known sizes share."""

    presets: ClassVar = {}

    @classmethod
    def from_preset(cls, preset, source_vocabulary_size, target_vocabulary_size, **arguments):
        """A model of a known size.

        Args:
            preset: name of the size. A Transformer has `"tiny"` (Wu et al.
                2021: 4 + 4 layers of 128), `"small"` (Fairseq's for IWSLT:
                6 + 6 of 512) and `"base"` (Vaswani et al. 2017: 6 + 6 of 512,
                wider blocks); a recurrent model `"tiny"` (one GRU layer of 320,
                40 % dropout, as Multi30k's baselines are) and `"small"` (two
                residual layers of 512); GNMT `"tiny"` (three layers of 256),
                `"small"` (four of 1,024, TensorFlow's NMT code) and `"base"`
                (eight, Wu et al. 2016).
            source_vocabulary_size: number of source ids.
            target_vocabulary_size: number of target ids.
            **arguments: arguments of the constructor, instead of the preset's.

        Raises:
            ValueError: for an unknown preset.
        """
        if preset not in cls.presets:
            known = ", ".join(map(repr, cls.presets))
            raise ValueError(f"{cls.__name__}: preset must be one of {known}. Received {preset!r}.")
        return cls(source_vocabulary_size, target_vocabulary_size, **(cls.presets[preset] | arguments))
