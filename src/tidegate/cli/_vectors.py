"""Writes the vectors of `predict --vectors` to a .npy file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from .. import atomic
from ..errors import OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

MAGIC: Final = b"\x93NUMPY"
KIND: Final = atomic.FileKind("a .npy file", lambda file: file.read(len(MAGIC)) == MAGIC)


def check_path(path: str, inputs: Iterable[str], force: bool = False) -> None:
    """Check before the work that vectors can be written to a path. Raises OptionError, TidegateError."""
    if not path.lower().endswith(".npy"):
        raise OptionError(f"--vectors is {path}; expected a path that ends with .npy")
    atomic.check(path, KIND, inputs, force)


def write(path: str, vectors: npt.NDArray[Any], force: bool = False) -> str:
    """Write vectors whole or not at all, and return what was written, in words."""
    import numpy as np

    with atomic.replace(path, KIND, force) as file:
        np.lib.format.write_array(file, vectors, allow_pickle=False)
    return f"{path} ({vectors.shape[0]:,} vectors of {vectors.shape[1]:,} numbers)"
