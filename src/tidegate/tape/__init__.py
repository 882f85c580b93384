"""A cell's equation recorded as straight-line code; see README.md."""

from .interpret import interpret
from .linear import is_linear, solvable_states
from .ops import BINARY, NORM_EPS, OPCODES, UNARY, NumpyOps
from .tape import MAX_INSTRUCTIONS, MAX_LIVE, EncodedTape, Instruction, Shape, Tape, flat_width, resolve_shape
from .trace import Namespace, trace

__all__ = [
    "BINARY",
    "MAX_INSTRUCTIONS",
    "MAX_LIVE",
    "NORM_EPS",
    "OPCODES",
    "UNARY",
    "EncodedTape",
    "Instruction",
    "Namespace",
    "NumpyOps",
    "Shape",
    "Tape",
    "flat_width",
    "interpret",
    "is_linear",
    "resolve_shape",
    "solvable_states",
    "trace",
]
