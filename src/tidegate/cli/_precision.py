"""The flags of commands that run a model: in which precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import argparse

    from ._parser import Parser

PRECISIONS = ("float32", "bf16")  # as runtime.precision has them, which would load NumPy before the flags are looked at


class LoadArguments(TypedDict):
    """Arguments of `load`."""

    weights: str | None
    compute: str | None


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("precision")
    group.add_argument(
        "--weights", choices=PRECISIONS, help="bf16: weights rounded to bfloat16, half the bytes to read"
    )
    group.add_argument(
        "--compute", choices=PRECISIONS, help="bf16: what they multiply rounded too; faster for many at once"
    )


def load_arguments(args: argparse.Namespace) -> LoadArguments:
    return {"weights": args.weights, "compute": args.compute}
