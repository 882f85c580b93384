"""Running a model without torch: predictor, stream, pool and state; see README.md."""

from .engine import compile
from .forecast import Forecast
from .offline import OfflineEngine, make_runner
from .pool import Pool
from .predictor import Predictor, load
from .scores import Scores
from .state import State
from .stream import Stream

__all__ = [
    "Forecast",
    "OfflineEngine",
    "Pool",
    "Predictor",
    "Scores",
    "State",
    "Stream",
    "compile",
    "load",
    "make_runner",
]
