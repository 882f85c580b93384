"""Every error that tidegate raises for a user's input, under one type.

A message is one sentence: where, what was found, what was expected, what to do. A callee describes the fault; its
caller adds the place with `located`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TidegateError(Exception):
    """Base of all errors that are about input and not about a bug; the command line prints it and exits with 2."""


class OptionError(TidegateError):
    """An option or argument that does not exist, or a value it cannot take."""


class WrongValue(OptionError, ValueError):
    """An argument of a module in `tidegate.nn`, or of an estimator, of a value that it cannot have; a ValueError, as
    torch.nn and scikit-learn raise.
    """


class WrongType(OptionError, TypeError):
    """An argument of a module in `tidegate.nn` of a type that it cannot have; a TypeError, as torch.nn raises."""


class WrongShape(OptionError, RuntimeError):
    """A tensor whose shape or dtype a module in `tidegate.nn` cannot take; a RuntimeError, as torch.nn raises."""


class DataError(TidegateError):
    """A data file, row, field or event that cannot be used."""


class WrongData(DataError, ValueError):
    """Data that an estimator of `tidegate.estimators` cannot use; a ValueError, as scikit-learn raises."""


class ModelFileError(TidegateError):
    """A file that is no tidegate model, or one that is damaged, newer or inconsistent."""


class StateError(TidegateError):
    """A state that is damaged, newer, or of another model; a stream or pool that another thread is changing."""


class CellError(TidegateError):
    """A cell whose file or equation cannot be used."""


class TargetError(TidegateError):
    """A target that this machine or this build does not have."""


class ModuleError(TidegateError):
    """A torch module that no model file can hold."""


class MissingExtra(TidegateError):
    """A part of tidegate whose dependencies are not installed."""


@contextmanager
def error_context(place: str) -> Iterator[None]:
    """Put `place: ` before the message of any TidegateError raised inside; its type stays.

    >>> with located("train.csv:3"):
    ...     raise DataError("the text is empty")
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: train.csv:3: the text is empty
    """
    try:
        yield
    except TidegateError as error:
        raise type(error)(f"{place}: {error}") from error
