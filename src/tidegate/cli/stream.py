"""Answer live events: JSON lines in, one JSON line out for each.

An event is {"stream": id, "text": "..."}: a piece of a message, cut anywhere.
For a model of series or numbers it is {"stream": id, "x": [...]}: one step, or
a list of steps, with null for a missing number of a series; "time", ISO 8601
text or a list of it, goes with it where the model uses a calendar, and
"series" names the series where the model scales each by its own statistics and
the stream's id is no such name. For a model of token ids "x" is an id, or a
list of ids. A forecaster answers with "forecast", the median of each step
ahead by column, and "quantiles". "end": true gives the final answer and begins
the stream's next message; "seq", an integer, comes back as it is. Before the
first answer, label and score, or the forecast, are null and "reason" says why;
a model without labels answers with "values", and one whose rows may have
several labels with "labels" too: those with a score of 0.5 or more. Every
answer is flushed at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import strictjson
from ..errors import DataError, TidegateError, error_context
from ..files import check_line
from . import _console, _precision
from ._inputs import INPUT_NAMES
from ._parser import FilePath, Parser
from ._table import shortest_decimal

if TYPE_CHECKING:
    from ..runtime import Forecast, Predictor, Scores, Stream

EXAMPLES = """\
  cat events.jsonl | tidegate stream intent.safetensors > scores.jsonl
  echo '{"stream": 1, "text": "what is my", "end": true}' | \\
      tidegate stream intent.safetensors --all
  echo '{"stream": "a", "x": [0.5, null], "time": "2024-01-31T23:30:00"}' | \\
      tidegate stream load.safetensors"""

KEYS = ("stream", "text", "x", "time", "series", "seq", "end")
SERIES_KEYS = ("time", "series")
NOT_FINITE = "the answer is no finite number, as what went in was none or too large; end the stream"
ADVICE = "correct it, or leave bad events out with --skip-bad"


def add_flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", action=FilePath, help="the model file")
    parser.add_argument("--all", action="store_true", help="the score of every label, not only of the best")
    parser.add_argument("--skip-bad", action="store_true", help="leave bad events out and list them at the end")
    _precision.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    from ..runtime import load

    predictor = load(args.model, **_precision.load_arguments(args))
    with error_context(args.model):
        predictor.pool()  # a model that cannot stream is refused before the first event
    streams = Streams(predictor, args.all)
    bad = []
    for number, line in _console.read_lines():
        if not line.strip():
            continue
        try:
            _console.print_json(streams.handle(line))
        except TidegateError as error:
            if not args.skip_bad:
                raise DataError(f"stdin:{number}: {error}; {ADVICE}") from error
            bad.append(f"stdin:{number}: {error}")
    for sentence in bad:
        print(f"tidegate: left out {sentence}", file=sys.stderr)
    if bad:
        print(f"tidegate: {len(bad)} bad event{' was' if len(bad) == 1 else 's were'} left out", file=sys.stderr)
    return 0


class Streams:
    """One stream an id; it is forgotten when its message ends, so memory follows the messages under way."""

    def __init__(self, predictor: Predictor, all_scores: bool) -> None:
        self.predictor, self.all_scores, self.kind = predictor, all_scores, predictor.model.document["input"]["kind"]
        self.scale = predictor.model.document["input"].get("scale") or {"names": None}
        self.open: dict[str | int, Stream] = {}
        self.series: dict[str | int, str | None] = {}

    def handle(self, line: bytes) -> dict[str, Any]:
        event = parse_event(line, self.kind)
        name, end = event["stream"], event.get("end", False)
        stream = self.find_stream(event)
        piece = event.get("text" if self.kind == "text" else "x")
        answer = stream.end() if piece is None else stream.push(piece, end=end, time=event.get("time"))
        self.open[name], self.series[name] = stream, self.series_name(event)
        if end:
            del self.open[name], self.series[name]
        return self.format_answer(event, answer, end)

    def find_stream(self, event: dict[str, Any]) -> Stream:
        """The stream of an event. Raises DataError for one that another series has begun."""
        name, series = event["stream"], self.series_name(event)
        if name not in self.open:
            return self.predictor.stream(series)
        if series != self.series[name]:
            raise DataError(f"'series' is {series!r}, and this stream is {self.series[name]!r}; end it first")
        return self.open[name]

    def series_name(self, event: dict[str, Any]) -> str | None:
        """The name of an event's series, which is its stream's id unless it says another."""
        name = event.get("series")
        if name is None and self.scale["names"] is not None:
            return self.series.get(event["stream"], str(event["stream"]))
        return str(name) if name is not None else None

    def format_answer(self, event: dict[str, Any], answer: Scores | Forecast, end: bool) -> dict[str, Any]:
        from ..runtime import Forecast, Scores

        if answer.values is not None and not np.isfinite(answer.values).all():
            if isinstance(answer, Scores):
                answer = Scores(None, answer.labels, NOT_FINITE, answer.multi_label)
            else:
                answer = Forecast(None, answer.quantiles, answer.columns, NOT_FINITE)
        said: dict[str, Any] = {key: event[key] for key in ("stream", "seq") if key in event}
        said |= self.format_scores(answer) if isinstance(answer, Scores) else answer.as_dict()
        return {**said, "final": True} if end else said

    def format_scores(self, scores: Scores) -> dict[str, Any]:
        if self.predictor.labels is None:
            values = None if scores.values is None else list(map(shortest_decimal, scores.values))
            return {"values": values} if values is not None else {"values": None, "reason": scores.reason}
        if scores.label is None or scores.values is None:
            return {"label": None, "score": None, "reason": scores.reason}
        said: dict[str, Any] = {"label": scores.label, "score": shortest_decimal(scores.score)}
        if scores.multi_label:
            said["labels"] = scores.chosen
        if self.all_scores:
            labels = self.predictor.model.labels or []
            said["scores"] = dict(zip(labels, map(shortest_decimal, scores.values), strict=True))
        return said


def parse_event(line: bytes, kind: str) -> dict[str, Any]:
    """The event of a line, checked. kind: of the model's input."""
    check_line(line)
    try:
        event = json.loads(line.decode(), parse_constant=strictjson.no_constant, object_pairs_hook=strictjson.unique)
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start} of the line") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"not JSON ({error})") from error
    except ValueError as error:  # Python reads no integer of thousands of digits
        raise DataError("it has an integer of too many digits") from error
    if not isinstance(event, dict):
        raise DataError(f"expected a JSON object, found {type(event).__name__}")
    for key in event:
        if key not in KEYS:
            raise DataError(f"unknown key {key!r}; an event has {', '.join(KEYS)}")
    check_event(event, kind)
    if kind != "text" and (b"true" in line or b"false" in line) and contains_boolean(event.get("x")):
        raise DataError("'x' holds true or false; expected numbers; send 1 or 0 where that is meant")
    return event


def check_event(event: dict[str, Any], kind: str) -> None:
    """Raises DataError for a key of the wrong type, or when there is nothing to answer."""
    if "stream" not in event:
        raise DataError("the key 'stream' is missing")
    wanted = (
        ("stream", (str, int), "text or an integer"),
        ("text", (str,), "text"),
        ("series", (str,), "text"),
        ("time", (str, list), "text, or a list of it"),
        ("seq", (int,), "an integer"),
    )
    for key, kinds, said in wanted:
        if key in event and (not isinstance(event[key], kinds) or isinstance(event[key], bool)):
            raise DataError(f"{key!r} is {event[key]!r}; expected {said}")
    if isinstance(event["stream"], str) and not is_encodable(event["stream"]):
        raise DataError(f"'stream' is {event['stream']!r}, with half of a surrogate pair; expected text")
    if not isinstance(event.get("end", False), bool):
        raise DataError(f"'end' is {event['end']!r}; expected true or false")
    piece, other = ("text", "x") if kind == "text" else ("x", "text")
    if other in event:
        raise DataError(f"{other!r} is there, and this model takes {INPUT_NAMES[kind]}; send {piece!r}")
    if kind != "series" and (more := [key for key in SERIES_KEYS if key in event]):
        raise DataError(f"{more[0]!r} is there, and this model takes {INPUT_NAMES[kind]}; leave it out")
    if event.get(piece) is None and not event.get("end"):
        raise DataError(f"neither {piece!r} nor 'end' is there")
    if event.get(piece) is None and "time" in event:
        raise DataError(f"'time' is there without {piece!r}, whose steps it is of; leave it out")


def contains_boolean(x: Any, depth: int = 2) -> bool:
    """Whether a number, or lists of numbers so deep, are true or false."""
    if isinstance(x, list):
        return depth > 0 and any(contains_boolean(one, depth - 1) for one in x)
    return isinstance(x, bool)


def is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
