"""The precision flags of commands that run a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import argparse

    from ._parser import Parser

PRECISIONS = ("float32", "bf16")  # like those of runtime.precision, which would import NumPy before flags are parsed


class LoadArguments(TypedDict):
    """Keyword arguments of `load`."""

    weights: str | None
    compute: str | None


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("precision")
    group.add_argument("--weights", choices=PRECISIONS, help="bf16: store weights as bfloat16, in half the memory")
    group.add_argument("--compute", choices=PRECISIONS, help="bf16: multiply in bfloat16 too, faster for batches")


def load_arguments(args: argparse.Namespace) -> LoadArguments:
    """Return what the flags say, for `load`."""
    return {"weights": args.weights, "compute": args.compute}
