"""The cases of the speed benchmarks: a cell in a dialect, a precision, and sizes."""

from __future__ import annotations

import argparse
from typing import Any, Final, NamedTuple

from tidegate import cells
from tidegate.errors import TidegateError

SIZES: Final = {"step": "IxH", "pool": "BxIxH", "sequence": "BxTxIxH", "training": "BxTxIxH"}
PRECISION: Final = ("weights", "compute")  # arguments of runtime.compile, next to the dialect's own keys
STEPS: Final = 8  # rows that single steps cycle through, and the number of steps that are compared before timing


class Case(NamedTuple):
    """B rows of T steps, I inputs, H units. dialect, precision: choices other than the cell's defaults and float32."""

    kind: str
    cell: str
    dialect: dict[str, str]
    precision: dict[str, str]
    sizes: tuple[int, ...]

    @property
    def rows(self) -> int:
        return 1 if self.kind == "step" else self.sizes[0]

    @property
    def steps(self) -> int:
        return STEPS if self.stepwise else self.sizes[1]

    @property
    def inputs(self) -> int:
        return self.sizes[-2]

    @property
    def size(self) -> int:
        return self.sizes[-1]

    @property
    def stepwise(self) -> bool:
        """Return whether a call is one step, from the state that the last call left."""
        return self.kind in ("step", "pool")

    @property
    def plain(self) -> bool:
        """Return whether it is the GRU that other libraries have."""
        return self.cell == "gru" and not self.dialect

    @property
    def operations(self) -> int:
        """Count the multiplications and additions in the products of one call; training has three products for each."""
        tape = cells.load(self.cell, self.dialect).tape
        one = 2 * self.size * (len(tape.gates) * self.inputs + len(tape.recurrent) * self.size)
        return one * self.rows * (1 if self.stepwise else self.steps) * (3 if self.kind == "training" else 1)

    @property
    def title(self) -> str:
        """Return the case's name in the output.

        >>> parse("step", "64x32").title, parse("pool", "gru,reset=before,weights=bf16:5x64x32").title
        ('step I=64 H=32 float32', 'pool 5x64x32 gru reset=before weights=bf16')
        """
        sizes = "I={} H={}".format(*self.sizes) if self.kind == "step" else "x".join(map(str, self.sizes))
        return " ".join([self.kind, sizes, *([] if self.plain else [self.equation]), self.number_format])

    @property
    def equation(self) -> str:
        return " ".join([self.cell, *(f"{key}={value}" for key, value in self.dialect.items())])

    @property
    def number_format(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.precision.items()) or "float32"

    def our_variants(self) -> dict[str, Case]:
        """Return, by name, the same case with tidegate's default dialect, and with float32, where these differ."""
        variants = {}
        if self.dialect:
            variants[f"tidegate {self.cell}"] = self._replace(dialect={})
        if self.precision:
            variants["tidegate float32"] = self._replace(precision={})
        return variants


def parse(kind: str, text: str) -> Case:
    """Parse [CELL[,KEY=VALUE...]:]SIZES; the default cell is GRU. Raises argparse's error for anything else."""
    front, _, sizes = text.rpartition(":")
    cell, *choices = (front or "gru").split(",")
    try:
        dialect = dict(choice.split("=") for choice in choices)
        precision = {key: dialect.pop(key) for key in PRECISION if key in dialect}
        cells.load(cell, dialect)
        numbers = tuple(int(n) for n in sizes.split("x"))
        if len(numbers) != len(SIZES[kind].split("x")) or min(numbers) < 1:
            raise ValueError(sizes)
    except (ValueError, TidegateError) as error:
        expected = f"[CELL[,KEY=VALUE ...]:]{SIZES[kind]}"
        raise argparse.ArgumentTypeError(f"{text!r} is no case; expected {expected}: {error}") from error
    return Case(kind, cell, dialect, precision, numbers)


def add_flag(parser: argparse.ArgumentParser, kind: str, default: list[str]) -> None:
    """Add the flag --cases."""

    def case(text: str) -> Case:
        return parse(kind, text)

    shown: dict[str, Any] = {"metavar": "CASE", "help": f"[CELL[,KEY=VALUE ...]:]{SIZES[kind]}"}
    parser.add_argument("--cases", nargs="+", type=case, default=[case(text) for text in default], **shown)
