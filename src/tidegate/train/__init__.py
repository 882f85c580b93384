"""Training, from a labelled file to a model file; see README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MissingExtra

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtra('training needs torch, which is not installed; pip install "tidegate[train]"') from error

from . import job
from .arguments import name_arguments
from .progress import Progress

if TYPE_CHECKING:
    from .typed import fit
else:
    fit = name_arguments(job.fit)  # the command line calls job.fit, whose errors name flags

__all__ = ["Progress", "fit"]
