"""What a speed is measured on: a cell in a dialect, a precision, and sizes."""

from __future__ import annotations

import argparse
from typing import Any, Final, NamedTuple

from tidegate import cells
from tidegate.errors import TidegateError

SIZES: Final = {"step": "IxH", "pool": "BxIxH", "sequence": "BxTxIxH", "training": "BxTxIxH"}
PRECISION: Final = ("weights", "compute")  # arguments of runtime.compile, beside the dialect's own keys
STEPS: Final = 8  # rows that steps go through by turns, and the steps that are compared before the timing


class Case(NamedTuple):
    """B rows of T steps, I inputs, H units. dialect: what is not the cell's default; precision: what is not float32."""

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
        """Whether a call is one step, from the state that the last call left."""
        return self.kind in ("step", "pool")

    @property
    def plain(self) -> bool:
        """Whether it is the GRU that the libraries have."""
        return self.cell == "gru" and not self.dialect

    @property
    def operations(self) -> int:
        """Multiplications and additions of the products of one call; training has three products for each."""
        tape = cells.load(self.cell, self.dialect).tape
        one = 2 * self.size * (len(tape.gates) * self.inputs + len(tape.recurrent) * self.size)
        return one * self.rows * (1 if self.stepwise else self.steps) * (3 if self.kind == "training" else 1)

    @property
    def title(self) -> str:
        """
        >>> parse("step", "64x32").called, parse("pool", "gru,reset=before,weights=bf16:5x64x32").called
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
        """The same by us without what is special about it: by name."""
        plainer = {}
        if self.dialect:
            plainer[f"tidegate {self.cell}"] = self._replace(dialect={})
        if self.precision:
            plainer["tidegate float32"] = self._replace(precision={})
        return plainer


def parse(kind: str, text: str) -> Case:
    """A case of [CELL[,KEY=VALUE...]:]SIZES; GRU where no cell is named. argparse's error for what is none."""
    front, _, sizes = text.rpartition(":")
    cell, *choices = (front or "gru").split(",")
    try:
        chosen = dict(choice.split("=") for choice in choices)
        precision = {key: chosen.pop(key) for key in PRECISION if key in chosen}
        cells.load(cell, chosen)
        numbers = tuple(int(n) for n in sizes.split("x"))
        if len(numbers) != len(SIZES[kind].split("x")) or min(numbers) < 1:
            raise ValueError(sizes)
    except (ValueError, TidegateError) as error:
        wanted = f"[CELL[,KEY=VALUE ...]:]{SIZES[kind]}"
        raise argparse.ArgumentTypeError(f"{text!r} is none of {wanted}: {error}") from error
    return Case(kind, cell, chosen, precision, numbers)


def add_flag(parser: argparse.ArgumentParser, kind: str, default: list[str]) -> None:
    """The flag --cases."""

    def case(text: str) -> Case:
        return parse(kind, text)

    shown: dict[str, Any] = {"metavar": "CASE", "help": f"[CELL[,KEY=VALUE ...]:]{SIZES[kind]}"}
    parser.add_argument("--cases", nargs="+", type=case, default=[case(text) for text in default], **shown)
