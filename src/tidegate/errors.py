"""All errors that tidegate raises for a user's input, under one base class.

A message is one sentence: where, what was found, what was expected, what to do. A function describes the fault; its
caller adds the place with `error_context`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TidegateError(Exception):
    """Base class of all errors about input, as opposed to bugs; the command line prints it and exits with 2."""


class OptionError(TidegateError):
    """An option or argument that does not exist, or a value that it cannot have."""


class WrongValue(OptionError, ValueError):
    """A value that an argument of a module in `tidegate.nn` or of an estimator cannot have.

    It is a ValueError too, as torch.nn and scikit-learn raise it.
    """


class WrongType(OptionError, TypeError):
    """An argument of the wrong type for a module in `tidegate.nn`; a TypeError too, as torch.nn raises it."""


class WrongShape(OptionError, RuntimeError):
    """A tensor of the wrong shape or dtype for a module in `tidegate.nn`; a RuntimeError too, as torch.nn raises it."""


class DataError(TidegateError):
    """A data file, row, field or event that cannot be used."""


class WrongData(DataError, ValueError):
    """Data that an estimator of `tidegate.estimators` cannot use; a ValueError too, as scikit-learn raises it."""


class ModelFileError(TidegateError):
    """A file that is not a tidegate model, or one that is damaged, inconsistent or from a newer version."""


class StateError(TidegateError):
    """A state that is damaged, from a newer version or of another model; a stream that another thread is changing."""


class CellError(TidegateError):
    """A cell whose file or equation cannot be used."""


class TargetError(TidegateError):
    """A target that this machine or this build does not have."""


class ModuleError(TidegateError):
    """A torch module that cannot be stored in a model file."""


class MissingExtra(TidegateError):
    """A part of tidegate whose dependencies are not installed."""


@contextmanager
def error_context(place: str) -> Iterator[None]:
    """Put `place: ` before the message of any TidegateError raised in the block; its type stays the same.

    >>> with error_context("train.csv:3"):
    ...     raise DataError("the text is empty")
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: train.csv:3: the text is empty
    """
    try:
        yield
    except TidegateError as error:
        raise type(error)(f"{place}: {error}") from error
