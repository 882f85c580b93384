"""What pytest passes over where an extra that only one module needs is not installed, and one thread for each of
pytest-xdist's processes, as these are as many as the cores.
"""

from __future__ import annotations

import importlib.util
import os

collect_ignore = [] if importlib.util.find_spec("sktime") else ["src/tidegate/estimators/sktime.py"]

if "PYTEST_XDIST_WORKER" in os.environ:  # before NumPy and torch are imported, which read it once
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TIDEGATE_THREADS"):
        os.environ.setdefault(name, "1")
