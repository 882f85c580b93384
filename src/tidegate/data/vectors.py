"""Read the vectors of a .npy file, as `tidegate predict --vectors` writes it, without pickle."""

from __future__ import annotations

import io
import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tidegate import files
from tidegate.errors import DataError

SUFFIX: Final = ".npy"
FLOAT32: Final = np.dtype("<f4")
READ_HEADER: Final = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
REMEDY: Final = "write it with tidegate predict --vectors, or with numpy.save"


def read_vectors(path: str, width: int) -> npt.NDArray[np.float32]:
    """Return the vectors of a file, float32 [n, width], n >= 1. A row of NaN stands for an input without a vector.

    Args:
        path: of the file.
        width: how many numbers each vector has to have.

    Raises:
        DataError: the file cannot be read, is damaged, or holds anything else.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".npy") as file:
    ...     np.save(file, np.ones((3, 2), np.float32)), file.flush()
    ...     read_vectors(file.name, 2).shape
    (None, None)
    (3, 2)
    """
    data = files.read(path, DataError)
    stream = io.BytesIO(data)
    try:
        shape, is_fortran, dtype = READ_HEADER[np.lib.format.read_magic(stream)](stream)
    except (ValueError, KeyError, SyntaxError, RecursionError, MemoryError) as error:
        raise DataError(f"{path}: is not a .npy file, or its beginning is damaged; {REMEDY}") from error
    check_array(path, shape, dtype, width)
    start, count = stream.tell(), math.prod(shape)
    if len(data) - start != count * FLOAT32.itemsize:
        raise DataError(
            f"{path}: is {list(shape)} according to its beginning, but holds {len(data) - start:,} bytes of numbers; "
            f"{REMEDY}"
        )
    array: npt.NDArray[np.float32] = np.frombuffer(data, FLOAT32, count, start)
    return array.reshape(shape[::-1]).T if is_fortran else array.reshape(shape)


def check_array(path: str, shape: tuple[int, ...], dtype: np.dtype[Any], width: int) -> None:
    """Raise DataError unless an array is float32 [n, width], n >= 1."""
    if dtype != FLOAT32:
        raise DataError(f"{path}: holds {dtype}; expected float32, which tidegate predict --vectors writes; convert it")
    if len(shape) != 2:
        raise DataError(f"{path}: has the shape {list(shape)}; expected a row for each vector, [n, {width}]")
    if shape[1] != width:
        raise DataError(
            f"{path}: its vectors have {shape[1]:,} numbers, but those of this model have {width:,}; write them with "
            "the same model, by tidegate predict --vectors"
        )
    if not shape[0]:
        raise DataError(f"{path}: holds no vector; expected one or more")
