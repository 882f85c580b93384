"""A cell's equation recorded as straight-line code; see README.md."""

from .encode import encode_program
from .interpret import interpret, run_program
from .linear import is_linear, solvable_states
from .lower import lower
from .ops import BINARY, NORM_EPS, UNARY, NumpyOps
from .program import MAX_OPERATIONS, Program
from .tape import MAX_INSTRUCTIONS, MAX_LIVE, Instruction, Shape, Tape, flat_width, resolve_shape
from .trace import Namespace, trace

__all__ = [
    "BINARY",
    "MAX_INSTRUCTIONS",
    "MAX_LIVE",
    "MAX_OPERATIONS",
    "NORM_EPS",
    "UNARY",
    "Instruction",
    "Namespace",
    "NumpyOps",
    "Program",
    "Shape",
    "Tape",
    "encode_program",
    "flat_width",
    "interpret",
    "is_linear",
    "lower",
    "resolve_shape",
    "run_program",
    "solvable_states",
    "trace",
]
