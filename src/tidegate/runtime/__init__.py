"""Running a model without torch: predictor, stream, pool and state; see README.md."""

from ..outputs import Scores
from ..outputs.base import Answer, Answers
from ..outputs.forecast import Forecast
from ..outputs.tags import Tags
from .engine import compile
from .offline import OfflineEngine, make_runner
from .pool import Pool
from .predictor import Predictor, load
from .state import State
from .stream import Stream

__all__ = [
    "Answer",
    "Answers",
    "Forecast",
    "OfflineEngine",
    "Pool",
    "Predictor",
    "Scores",
    "State",
    "Stream",
    "Tags",
    "compile",
    "load",
    "make_runner",
]
