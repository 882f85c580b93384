"""A cell's equation recorded as straight-line code; see README.md."""

from .interpret import interpret
from .linear import is_linear, order
from .ops import BINARY, NORM_EPS, OPCODES, UNARY, NumpyOps
from .tape import MAX_INSTRUCTIONS, MAX_LIVE, EncodedTape, Instruction, Shape, Tape, concrete, width
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
    "concrete",
    "interpret",
    "is_linear",
    "order",
    "trace",
    "width",
]
