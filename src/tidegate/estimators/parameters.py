"""A task's options as the parameters of an estimator, none of them typed twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from inspect import Parameter, Signature
from typing import Any, Final, TypeVar

import numpy as np

from ..tasks._options import RENAMED, check, option

COLUMNS: Final = frozenset(
    ("input", "text", "label", "label_separator", "group", "values", "time", "id", "layout", "targets", "known")
) | {"static"}  # they say what the columns of a file are; an estimator is told by its arguments

C = TypeVar("C", bound=type)


@dataclass(frozen=True)
class Fitting:
    """Parameters that are no task's."""

    threads: int = option(
        1, "threads of torch, which the weights depend on, and of prediction, whose bits do not", least=1, most=1024
    )
    verbose: bool = option(False, "print what the data was taken for, and a line after every epoch")

    def __post_init__(self) -> None:
        check(self)


def own(kind: type, without: frozenset[str] = COLUMNS) -> list[Field[Any]]:
    """The fields that are an estimator's parameters."""
    return [f for f in (*fields(kind), *fields(Fitting)) if f.name not in without]


def takes(kind: type, without: frozenset[str] = COLUMNS) -> Callable[[C], C]:
    """Decorates an estimator: its constructor takes the fields of `kind` and `Fitting`, and stores them as given."""
    found = own(kind, without)
    first = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    keywords = [Parameter(f.name, Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type) for f in found]
    signature = Signature([first, *keywords])

    def stored(self: Any, *args: Any, **values: Any) -> None:
        try:
            given = signature.bind(self, *args, **values)
        except TypeError as error:
            for name in values.keys() & RENAMED.keys():
                raise TypeError(f"{type(self).__name__}: {name} is now {RENAMED[name][0]}") from None
            raise TypeError(f"{type(self).__name__}: {error}") from None
        given.apply_defaults()
        for f in found:
            setattr(self, f.name, given.arguments[f.name])

    def decorate(estimator: C) -> C:
        owner: Any = estimator

        def constructor(self: Any, *args: Any, **values: Any) -> None:
            stored(self, *args, **values)
            super(owner, self).__init__()

        made: Any = constructor
        made.__name__, made.__signature__ = "__init__", signature
        made.__qualname__ = f"{estimator.__name__}.__init__"
        made.__doc__ = "\n".join(["Stores the parameters:", "", *(f"{f.name}: {f.metadata['help']}" for f in found)])
        setattr(estimator, "__init__", made)  # noqa: B010  a plain assignment is no type that mypy allows
        return estimator

    return decorate


def chosen(estimator: Any, kind: type, **columns: Any) -> Any:
    """The Options (or Fitting) that an estimator's parameters are, NumPy's scalars as Python's.

    columns: what the parameters leave out. Raises OptionError for a value that cannot be.
    """
    given = estimator.get_params(deep=False)
    values = {f.name: given[f.name] for f in fields(kind) if f.name in given}
    return kind(**{n: v.item() if isinstance(v, np.generic) else v for n, v in values.items()}, **columns)
