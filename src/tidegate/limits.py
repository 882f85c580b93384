"""Limits that bound the memory and time that a model file can cost, whatever is in it."""

from __future__ import annotations

from typing import Final

MAX_LAYERS: Final = 256
MAX_SOURCES: Final = 64  # of a node
MAX_LEVELS: Final = 4  # graphs that tick on each other
MAX_TAPES: Final = 64
MAX_WIDTH: Final = 1 << 20
MAX_IDS: Final = 512  # of a step
MAX_VOCABULARY: Final = 1 << 26
MAX_STATE_BYTES: Final = 16 << 20
KEPT_STEPS: Final = 1024  # of a message, until its end: what new files say, unless a state would be too large
MAX_MEMORY_BYTES: Final = 32 << 20  # for the memory of a series
MAX_STEP_NUMBERS: Final = 1 << 22
MAX_WINDOW_NUMBERS: Final = 1 << 26
MAX_CHECK_BYTES: Final = 64 << 10
MAX_CHECK_STEPS: Final = 10_000
MAX_COLUMNS: Final = 4096
MAX_SERIES: Final = 1 << 16
MAX_REACH: Final = 1 << 20
MAX_HORIZON: Final = 1 << 16
MAX_QUANTILES: Final = 99
MAX_OUTPUTS: Final = 64
MAX_LOOK_AHEAD: Final = 4096
MAX_BASELINES: Final = 16
MAX_SCORING_TENSORS: Final = 16  # of what only `score` reads
MAX_SCORING_BYTES: Final = 64 << 20
MAX_BASELINE_BYTES: Final = 4 << 20  # of the tensors of all baselines of a model
