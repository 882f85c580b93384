"""Turn a task's options into the parameters of an estimator, so that each is declared in one place only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from inspect import Parameter, Signature
from typing import Any, Final, TypeVar

import numpy as np

from ..tasks._options import check_options, option, renamed_fields

COLUMN_OPTIONS: Final = frozenset(  # they describe the columns of a file; an estimator gets X and y instead
    ("input", "text", "label", "label_separator", "group", "values", "time", "id", "layout", "targets", "known")
) | {"static", "conversation", "turn", "speaker"}

C = TypeVar("C", bound=type)


@dataclass(frozen=True)
class CommonParameters:
    """Parameters that every estimator has, whatever its task."""

    threads: int = option(
        1,
        "threads for training, which can change the weights, and for prediction, which do not change its bits",
        least=1,
        most=1024,
    )
    verbose: bool = option(False, "print how the data was interpreted, and a line after every epoch")

    def __post_init__(self) -> None:
        check_options(self)


def parameter_fields(kind: type, without: frozenset[str] = COLUMN_OPTIONS) -> list[Field[Any]]:
    """Return the fields that become the estimator's parameters."""
    return [f for f in (*fields(kind), *fields(CommonParameters)) if f.name not in without]


def with_parameters(kind: type, without: frozenset[str] = COLUMN_OPTIONS) -> Callable[[C], C]:
    """Decorate an estimator with a constructor that takes the fields of `kind` and `CommonParameters`.

    It stores the values unchanged, as scikit-learn requires.
    """
    parameters = parameter_fields(kind, without)
    first = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    keywords = [Parameter(f.name, Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type) for f in parameters]
    signature = Signature([first, *keywords])

    def store(self: Any, *args: Any, **values: Any) -> None:
        try:
            bound = signature.bind(self, *args, **values)
        except TypeError as error:
            for name, field in renamed_fields(kind).items():
                if name in values:
                    raise TypeError(f"{type(self).__name__}: {name} is now {field.name}") from None
            raise TypeError(f"{type(self).__name__}: {error}") from None
        bound.apply_defaults()
        for f in parameters:
            setattr(self, f.name, bound.arguments[f.name])

    def decorate(estimator: C) -> C:
        owner: Any = estimator

        def constructor(self: Any, *args: Any, **values: Any) -> None:
            store(self, *args, **values)
            super(owner, self).__init__()

        init: Any = constructor
        init.__name__, init.__signature__ = "__init__", signature
        init.__qualname__ = f"{estimator.__name__}.__init__"
        lines = [f"{f.name}: {f.metadata['help']}" for f in parameters]
        init.__doc__ = "\n".join(["Store the parameters:", "", *lines])
        setattr(estimator, "__init__", init)  # noqa: B010  mypy rejects a plain assignment
        return estimator

    return decorate


def make_options(estimator: Any, kind: type, **columns: Any) -> Any:
    """Return an instance of `kind` with the values of an estimator's parameters; scalars of NumPy become Python's.

    columns: options that are not parameters, such as the names of columns. Raises OptionError for an invalid value.
    """
    parameters = estimator.get_params(deep=False)
    values = {f.name: parameters[f.name] for f in fields(kind) if f.name in parameters}
    return kind(**{n: v.item() if isinstance(v, np.generic) else v for n, v in values.items()}, **columns)
