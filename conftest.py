"""What pytest passes over where an extra that only one module needs is not installed."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("sktime") else ["src/tidegate/estimators/sktime.py"]
