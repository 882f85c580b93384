"""From what a user has to the engine's steps: text to token ids, numbers to rows of features.

All kinds have `feed(x, input_state, time) -> (steps, input_state)` and `flush(input_state) -> steps`. Both are pure
functions, so a caller can check everything before anything changes. `input_state` is what the kind keeps of a stream
beside the block. It is immutable; `to_bytes` and `from_bytes` convert it.
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
    """A kind of input. nothing: what an input without a step has none of."""

    kind: str
    empty_text = "no step"

    @abstractmethod
    def init(self, series: str | None = None) -> Any:
        """What is input_state of a new stream. series: its name. Raises DataError for a name where none is needed."""

    @abstractmethod
    def reset(self, input_state: Any) -> Any:
        """What is input_state of a stream that forgets its message."""

    @abstractmethod
    def feed(self, x: Any, input_state: Any, time: Any = None) -> tuple[Steps, Any]:
        """The steps that are complete after `x`, and what is then input_state. Raises DataError."""

    @abstractmethod
    def flush(self, input_state: Any) -> Steps:
        """The steps that an end makes of what is input_state."""

    @abstractmethod
    def read_whole(self, x: Any, times: Any = None, series: str | None = None) -> Steps:
        """What the layers run over for a whole input. Raises DataError."""

    @abstractmethod
    def read_rows(self, x: Any) -> Steps:
        """One step of each of n streams. Raises DataError."""

    @abstractmethod
    def is_ready(self, steps: int) -> bool:
        """Whether there is an answer after so many steps."""

    @abstractmethod
    def not_ready_reason(self, steps: int) -> str:
        """Why there is none."""

    @abstractmethod
    def to_bytes(self, input_state: Any) -> bytes:
        """What is input_state, as a state keeps it."""

    @abstractmethod
    def from_bytes(self, input_state: bytes, steps: int) -> Any:
        """What `stored` made bytes of, of a stream of so many steps. Raises StateError for bytes of another model."""


class PlainInput(Input):
    """What all kinds but series share: `input_state` is bytes, every step counts, and nothing is named or timed."""

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
    def read(self, x: Any, input_state: bytes) -> tuple[Steps, bytes]: ...

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
    def check_input_state(self, input_state: bytes) -> None: ...


class TextInput(PlainInput):
    """Messages: `steps` are int32 ids [T]; `input_state` is the unfinished word."""

    kind = "text"
    empty_text = "no word"

    def __init__(self, model: Model, entry: dict[str, Any]) -> None:
        names = entry["vocabulary"]
        with error_context("input"):
            try:
                self.tokenizer = Tokenizer.from_json(entry["tokenizer"])
                self.vocabulary = Vocabulary(model.tensors[names["bytes"]], model.tensors[names["offsets"]])
            except DataError as error:
                raise ModelFileError(str(error)) from error
        self.size: int = entry["size"]
        self.no_step_reason = NO_TOKEN if self.tokenizer.kind == "word" else NO_STEP

    def read(self, x: Any, input_state: bytes) -> tuple[Steps, bytes]:
        """The ids of the words that are complete after `x` (str or bytes), and the unfinished one."""
        if isinstance(x, str):
            x = encode(x)
        elif not isinstance(x, bytes):
            raise DataError(f"this model takes text, str or bytes; {type(x).__name__} was given")
        tokens, input_state = self.tokenizer.feed(x, input_state)
        return self.vocabulary.ids(tokens), input_state

    def flush(self, input_state: bytes) -> Steps:
        return self.vocabulary.ids(self.tokenizer.flush(input_state) if input_state else [])

    def read_rows(self, x: Any) -> Steps:
        """One id for each of n streams: int32 [n]."""
        return to_token_ids(x, self.size)

    def check_input_state(self, input_state: bytes) -> None:
        """Raises StateError unless `input_state` is what this tokenizer leaves unfinished."""
        if len(input_state) > MAX_WORD:
            raise StateError(
                f"the state's unfinished word has {len(input_state)} bytes; at most {MAX_WORD} are allowed"
            )
        try:
            tokens, rest = self.tokenizer.feed(b"", input_state)
        except DataError as error:
            raise StateError(f"its unfinished word is none of this model's: {error}") from error
        if tokens or rest != input_state:
            raise StateError("its unfinished word is none of this model's: the tokenizer would split it")


class IdsInput(PlainInput):
    """Token ids that somebody else makes: `steps` are int32 ids [T]; nothing is ever input_state."""

    kind = "ids"

    def __init__(self, model: Model, entry: dict[str, Any]) -> None:
        self.size: int = entry["size"]

    def read(self, x: Any, input_state: bytes) -> tuple[Steps, bytes]:
        """One id, or several [T], as int32."""
        if isinstance(x, str | bytes):
            raise DataError(f"this model takes token ids, integers of 0 to {self.size - 1}; text was given")
        return to_token_ids([x] if np.ndim(x) == 0 else x, self.size), b""

    def flush(self, input_state: bytes) -> Steps:
        return np.zeros(0, np.int32)

    def read_rows(self, x: Any) -> Steps:
        """One id for each of n streams: int32 [n]."""
        return to_token_ids(x, self.size)

    def check_input_state(self, input_state: bytes) -> None:
        if input_state:
            raise StateError("it has an unfinished word; this model takes token ids")


class NumbersInput(PlainInput):
    """Series: `steps` are float32 [T, features]; nothing is ever input_state. NaN is the model's business."""

    kind = "array"

    def __init__(self, model: Model, entry: dict[str, Any]) -> None:
        self.features: int = entry["features"]

    def read(self, x: Any, input_state: bytes) -> tuple[Steps, bytes]:
        """One step [features] or several [T, features], as float32."""
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
        """One step for each of n streams: float32 [n, features]."""
        steps = to_float32(x)
        if steps.ndim != 2 or steps.shape[1] != self.features:
            raise DataError(f"shape {list(steps.shape)}; expected [n, {self.features}], one step for each stream")
        return steps

    def check_input_state(self, input_state: bytes) -> None:
        if input_state:
            raise StateError("it has an unfinished word; this model takes numbers")


def to_token_ids(x: Any, size: int) -> npt.NDArray[np.int32]:
    """Ids of 0 to size - 1 as int32 [n]. Raises DataError for anything else."""
    ids = np.asarray(x)
    if ids.ndim != 1 or (ids.dtype.kind not in "iu" and ids.size):
        raise DataError(f"token ids are integers of shape [n]; {ids.dtype} of shape {list(ids.shape)} was given")
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < size:
        bad = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise DataError(f"there is no token {bad}; the vocabulary has ids 0 to {size - 1}")
    return ids.astype(np.int32)


def to_float32(x: Any) -> npt.NDArray[np.float32]:
    """A C-contiguous float32 array of real numbers. Raises DataError for anything else."""
    try:
        found = np.asarray(x)
    except ValueError as error:
        raise DataError(f"the numbers are no array: {error}") from error
    if found.dtype.kind not in "fiub":
        raise DataError(f"this model takes numbers; {type(x).__name__} of {found.dtype} was given")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(found, np.float32) if found.ndim else np.asarray(found, np.float32)
