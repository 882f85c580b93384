"""What `fit --search` may choose of an option: declared beside the option, with `option(search=...)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

DIGITS = 2  # significant ones of a number that is drawn, so that it can be read and typed


@dataclass(frozen=True)
class Numbers:
    """Numbers between two bounds, both included. log: draw their logarithm. reads: the kind of input that they are for,
    such as "text"; "": any.
    """

    low: float
    high: float
    log: bool = False
    reads: str = ""

    def around(self, default: Any, field: dataclasses.Field[Any]) -> Numbers:
        """Return the bounds, so that the default of these data lies between them."""
        return dataclasses.replace(self, low=min(self.low, default), high=max(self.high, default))

    def tidy(self, value: float) -> float:
        """Round a number that was drawn.

        >>> Numbers(0.001, 0.01, log=True).tidy(0.0034567)
        0.0035
        """
        return min(self.high, max(self.low, float(f"{value:.{DIGITS}g}")))


@dataclass(frozen=True)
class Choices:
    """One of some values. reads: as for `Numbers`."""

    values: tuple[Any, ...]
    reads: str = ""

    def around(self, default: Any, field: dataclasses.Field[Any]) -> Choices:
        """Return the values, the default of these data among them."""
        return self if default in self.values else dataclasses.replace(self, values=(default, *self.values))


@dataclass(frozen=True)
class Multiples:
    """Multiples of the value that the data decide, in whole numbers. reads: as for `Numbers`."""

    factors: tuple[float, ...]
    reads: str = ""

    def around(self, default: Any, field: dataclasses.Field[Any]) -> Choices:
        """Return the multiples of the default of these data that the option allows.

        >>> from tidegate.tasks.classify import Options
        >>> hidden = Options.__dataclass_fields__["hidden"]
        >>> Multiples((0.5, 1, 2)).around(256, hidden).values
        (128, 256, 512)
        """
        least, most = field.metadata["least"], field.metadata["most"]
        values = {round(factor * default) for factor in self.factors} | {default}
        return Choices(tuple(sorted(v for v in values if least <= v <= most)), self.reads)


Space = dict[str, Numbers | Choices]


def find_space(options: Any, kinds: Collection[str], fixed: Collection[str]) -> Space:
    """Return what a search may choose, by option: what matters for these data, and is not fixed.

    options: the defaults, all that depends on the data decided. kinds: those of the problem's inputs. An option does
    not matter that is left undecided (None), that is for another kind of input, that belongs to an option which is not
    given, or that could only have one value.

    >>> from tidegate.tasks.classify import Options
    >>> sorted(find_space(Options(hidden=64), ["series"], ["rate", "decay"]))
    ['hidden', 'noise', 'shift']
    """
    space: Space = {}
    for field in dataclasses.fields(options):
        declared, default = field.metadata.get("search"), getattr(options, field.name)
        beside = field.metadata.get("beside")
        if declared is None or default is None or field.name in fixed:
            continue
        if (declared.reads and declared.reads not in kinds) or (beside and getattr(options, beside) is None):
            continue
        found = declared.around(default, field)
        if not isinstance(found, Choices) or len(found.values) > 1:
            space[field.name] = found
    return space
