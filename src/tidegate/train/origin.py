"""What the provenance of a model says of where it came from: its sources, its calibration, and what made it."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np
import torch

from ..data.series import Collection
from ..data.table import Table
from ..tasks.base import Calibration


def describe_calibration(calibration: Calibration) -> dict[str, Any]:
    """Describe a calibration for the provenance: that of the only output, or of several by name."""
    meant = {
        "factor": "the last layer's weights, fitted on the held-out rows",
        "branch": "a linear model of the same input, whose share the held-out rows chose",
        "width": "of the intervals, as a share of the network's",
    }
    each = {
        name: {**of, "of": "; ".join(text for key, text in meant.items() if key in of)}
        for name, of in calibration.items()
    }
    return next(iter(each.values())) if len(each) == 1 else each


def describe_source(table: Table | Collection, summary: str) -> dict[str, Any]:
    """Describe a source for the model file: by its name instead of its path, and how it was read."""
    source = "series" if isinstance(table, Collection) else "file" if table.form else "frame"
    name = decode_name(os.path.basename(table.path))
    return {source: name, "sha256": table.sha256, "rows": len(table), "taken": summary}


def decode_name(name: str) -> str:
    """Decode a file's name, with bytes that are not UTF-8 as escapes.

    >>> decode_name(os.fsdecode(b"caf\\xe9.csv"))
    'caf\\\\xe9.csv'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {
        "tidegate": version("tidegate"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
    }
