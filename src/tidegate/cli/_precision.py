"""The flags of commands that run a model: in which precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import argparse

    from ._parser import Parser

KINDS = ("float32", "bf16")  # as runtime.precision has them, which would load NumPy before the flags are looked at


class Asked(TypedDict):
    """Arguments of `load`."""

    weights: str | None
    compute: str | None


def flags(parser: Parser) -> None:
    group = parser.add_argument_group("precision")
    group.add_argument("--weights", choices=KINDS, help="bf16: weights rounded to bfloat16, half the bytes to read")
    group.add_argument("--compute", choices=KINDS, help="bf16: what they multiply rounded too; faster for many at once")


def asked(args: argparse.Namespace) -> Asked:
    return {"weights": args.weights, "compute": args.compute}
