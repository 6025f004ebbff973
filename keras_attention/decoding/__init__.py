"""Search in graph: it knows a step function and a state, no model class."""

from keras_attention.decoding.constraint import Constraint, ConstraintTables
from keras_attention.decoding.loop import SearchResult, search
from keras_attention.decoding.rules import Rules
from keras_attention.decoding.shortlist import Shortlist
from keras_attention.decoding.strategies import Beam, Greedy, NormalizedBeam, Sample

__all__ = [
    "Beam",
    "Constraint",
    "ConstraintTables",
    "Greedy",
    "NormalizedBeam",
    "Rules",
    "Sample",
    "SearchResult",
    "Shortlist",
    "search",
]
