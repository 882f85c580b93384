"""Convert what users have to the engine's steps: text to token ids, numbers to rows of features.

All kinds have `feed(x, input_state, time) -> (steps, input_state)` and `flush(input_state) -> steps`. Both are pure
functions, so that a caller can check everything before anything changes. `input_state` is what an input remembers of a
stream, next to the state block: the unfinished word of a text, the memory of a series. It is immutable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelFileError, StateError, error_context
from ..features.text import Tokenizer, Vocabulary, encode
from ..model import Model

Steps = npt.NDArray[Any]
MAX_WORD: Final = 64
NO_TOKEN: Final = "no complete word yet"
NO_STEP: Final = "no step yet"


class Input(ABC):
    """A kind of input. empty_text: "no step" or "no word", for messages about an input without one."""

    kind: str
    empty_text = "no step"

    @abstractmethod
    def init(self, series: str | None = None) -> Any:
        """Return the input state of a new stream. series: its name. Raises DataError for a name that is not needed."""

    @abstractmethod
    def reset(self, input_state: Any) -> Any:
        """Return the input state of a stream that forgets its message."""

    @abstractmethod
    def feed(self, x: Any, input_state: Any, time: Any = None) -> tuple[Steps, Any]:
        """Return the steps that `x` completes, and the input state after it. Raises DataError."""

    @abstractmethod
    def flush(self, input_state: Any) -> Steps:
        """Return the steps that the end of a message completes."""

    @abstractmethod
    def read_whole(self, x: Any, times: Any = None, series: str | None = None) -> Steps:
        """Return the steps of a whole input. Raises DataError."""

    @abstractmethod
    def read_rows(self, x: Any) -> Steps:
        """Return one step of each of n streams. Raises DataError."""

    @abstractmethod
    def is_ready(self, steps: int) -> bool:
        """Return whether there is an answer after so many steps."""

    @abstractmethod
    def not_ready_reason(self, steps: int) -> str:
        """Say why there is none."""

    @abstractmethod
    def to_bytes(self, input_state: Any) -> bytes:
        """Convert an input state to bytes, for a `State`."""

    @abstractmethod
    def from_bytes(self, input_state: bytes, steps: int) -> Any:
        """Read the bytes that `to_bytes` wrote, of a stream of so many steps. Raises StateError if they do not fit."""


class PlainInput(Input):
    """All kinds but series: `input_state` is bytes, one step is enough for an answer, there are no names or times."""

    no_step_reason = NO_STEP

    def init(self, series: str | None = None) -> bytes:
        if series is not None:
            raise DataError(f"the series {series!r} is named, and this model takes none; leave the name out")
        return b""

    def reset(self, input_state: bytes) -> bytes:
        return b""

    def feed(self, x: Any, input_state: bytes, time: Any = None) -> tuple[Steps, bytes]:
        if time is not None:
            raise DataError("times were given, and this model uses no calendar; leave them out")
        return self.read(x, input_state)

    @abstractmethod
    def read(self, x: Any, input_state: bytes) -> tuple[Steps, bytes]:
        """Return the steps that `x` completes, and the input state after it. Raises DataError."""

    def read_whole(self, x: Any, times: Any = None, series: str | None = None) -> Steps:
        steps, input_state = self.feed(x, self.init(series), times)
        return np.concatenate([steps, self.flush(input_state)]) if input_state else steps

    def is_ready(self, steps: int) -> bool:
        return steps > 0

    def not_ready_reason(self, steps: int) -> str:
        return self.no_step_reason

    def to_bytes(self, input_state: bytes) -> bytes:
        return input_state

    def from_bytes(self, input_state: bytes, steps: int) -> bytes:
        self.check_input_state(input_state)
        return input_state

    @abstractmethod
    def check_input_state(self, input_state: bytes) -> None:
        """Raise StateError unless this model can leave this input state."""


class TextInput(PlainInput):
    """Messages: `steps` are int32 ids [T]; `input_state` is the unfinished word."""

    kind = "text"
    empty_text = "no word"

    def __init__(self, model: Model, entry: dict[str, Any]) -> None:
        names = entry["vocabulary"]
        with error_context("inputs.x"):
            try:
                self.tokenizer = Tokenizer.from_json(entry["tokenizer"])
                self.vocabulary = Vocabulary(model.tensors[names["bytes"]], model.tensors[names["offsets"]])
            except DataError as error:
                raise ModelFileError(str(error)) from error
        self.size: int = entry["size"]
        self.no_step_reason = NO_TOKEN if self.tokenizer.kind == "word" else NO_STEP

    def read(self, x: Any, input_state: bytes) -> tuple[Steps, bytes]:
        """Return the ids of the words that `x` (str or bytes) completes, and the unfinished word."""
        if isinstance(x, str):
            x = encode(x)
        elif not isinstance(x, bytes):
            raise DataError(f"this model takes text, str or bytes; {type(x).__name__} was given")
        tokens, input_state = self.tokenizer.feed(x, input_state)
        return self.vocabulary.ids(tokens), input_state

    def flush(self, input_state: bytes) -> Steps:
        return self.vocabulary.ids(self.tokenizer.flush(input_state) if input_state else [])

    def read_rows(self, x: Any) -> Steps:
        """Return one id for each of n streams: int32 [n]."""
        return to_token_ids(x, self.size)

    def check_input_state(self, input_state: bytes) -> None:
        """Raise StateError unless `input_state` is a word that this tokenizer leaves unfinished."""
        if len(input_state) > MAX_WORD:
            raise StateError(
                f"the state's unfinished word has {len(input_state)} bytes; at most {MAX_WORD} are allowed"
            )
        try:
            tokens, rest = self.tokenizer.feed(b"", input_state)
        except DataError as error:
            raise StateError(f"its unfinished word does not fit this model: {error}") from error
        if tokens or rest != input_state:
            raise StateError("its unfinished word does not fit this model: the tokenizer would split it")


class IdsInput(PlainInput):
    """Token ids from a tokenizer of the user's own: `steps` are int32 ids [T]; `input_state` stays empty."""

    kind = "ids"

    def __init__(self, model: Model, entry: dict[str, Any]) -> None:
        self.size: int = entry["size"]

    def read(self, x: Any, input_state: bytes) -> tuple[Steps, bytes]:
        """Return one id, or several [T], as int32."""
        if isinstance(x, str | bytes):
            raise DataError(f"this model takes token ids, integers of 0 to {self.size - 1}; text was given")
        return to_token_ids([x] if np.ndim(x) == 0 else x, self.size), b""

    def flush(self, input_state: bytes) -> Steps:
        return np.zeros(0, np.int32)

    def read_rows(self, x: Any) -> Steps:
        """Return one id for each of n streams: int32 [n]."""
        return to_token_ids(x, self.size)

    def check_input_state(self, input_state: bytes) -> None:
        if input_state:
            raise StateError("it has an unfinished word; this model takes token ids")


class NumbersInput(PlainInput):
    """Plain numbers: `steps` are float32 [T, features]; `input_state` stays empty. NaN is passed to the model."""

    kind = "array"

    def __init__(self, model: Model, entry: dict[str, Any]) -> None:
        self.features: int = entry["features"]

    def read(self, x: Any, input_state: bytes) -> tuple[Steps, bytes]:
        """Return one step [features] or several [T, features] as float32 [T, features]."""
        steps = to_float32(x)
        if steps.ndim == 1:
            steps = steps[None]
        if steps.ndim != 2 or steps.shape[1] != self.features:
            raise DataError(
                f"shape {list(np.shape(x))}; expected [{self.features}] for one step, "
                f"or [T, {self.features}] for several"
            )
        return steps, b""

    def flush(self, input_state: bytes) -> Steps:
        return np.zeros((0, self.features), np.float32)

    def read_rows(self, x: Any) -> Steps:
        """Return one step of each of n streams: float32 [n, features]."""
        steps = to_float32(x)
        if steps.ndim != 2 or steps.shape[1] != self.features:
            raise DataError(f"shape {list(steps.shape)}; expected [n, {self.features}], one step for each stream")
        return steps

    def check_input_state(self, input_state: bytes) -> None:
        if input_state:
            raise StateError("it has an unfinished word; this model takes numbers")


def to_token_ids(x: Any, size: int) -> npt.NDArray[np.int32]:
    """Return ids of 0 to size - 1 as int32 [n]. Raises DataError for anything else."""
    ids = np.asarray(x)
    if ids.ndim != 1 or (ids.dtype.kind not in "iu" and ids.size):
        raise DataError(f"token ids are integers of shape [n]; {ids.dtype} of shape {list(ids.shape)} was given")
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < size:
        bad = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise DataError(f"there is no token {bad}; the vocabulary has ids 0 to {size - 1}")
    return ids.astype(np.int32)


def to_float32(x: Any) -> npt.NDArray[np.float32]:
    """Return real numbers as a C-contiguous float32 array. Raises DataError for anything else."""
    try:
        values = np.asarray(x)
    except ValueError as error:
        raise DataError(f"the numbers are not an array: {error}") from error
    if values.dtype.kind not in "fiub":
        raise DataError(f"this model takes numbers; {type(x).__name__} of {values.dtype} was given")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32) if values.ndim else np.asarray(values, np.float32)
