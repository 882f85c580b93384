"""Score live streams: JSON events in, one JSON result out for each.

Each line of input is an event of one stream:

  {"stream": id, "text": "..."}  a piece of a message, cut anywhere
  {"stream": id, "x": [...]}     a step of numbers, or a list of steps; null is
                                 a missing number (series only)
  {"stream": id, "x": 7}         a token id, or a list of token ids

An event can also have:

  "end": true    end the message: the result is final, the stream starts over
  "seq": 12      an integer that comes back with the result
  "time": "..."  ISO 8601 time of the step, or a list of times, if the model
                 uses a calendar
  "series": "a"  name of the series, if the model scales each series by its own
                 statistics and the stream's id is not that name

A result has "label" and "score"; if there can be several labels, also "labels",
those with a score of at least 0.5. A forecaster gives "forecast", the median of
each step ahead by column, and "quantiles". A model without labels gives
"values". Until the first result is possible these are null, and "reason" says
why. Every result is flushed at once.
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
NOT_FINITE = "the result is not a finite number, because the input was not finite or too large; end the stream"
ADVICE = "correct the event, or skip bad events with --skip-bad"


def add_flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", action=FilePath, help="model file")
    parser.add_argument("--all", action="store_true", help="give the scores of all labels, not only of the best")
    parser.add_argument("--skip-bad", action="store_true", help="skip bad events and list them at the end")
    _precision.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    from ..runtime import load

    predictor = load(args.model, **_precision.load_arguments(args))
    with error_context(args.model):
        predictor.pool()  # raises before the first event if the model cannot stream
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
    for note in bad:
        print(f"tidegate: skipped {note}", file=sys.stderr)
    if bad:
        print(f"tidegate: {len(bad)} bad event{' was' if len(bad) == 1 else 's were'} skipped", file=sys.stderr)
    return 0


class Streams:
    """One stream per id, dropped when its message ends, so memory grows only with the number of open messages."""

    def __init__(self, predictor: Predictor, all_scores: bool) -> None:
        self.predictor, self.all_scores, self.kind = predictor, all_scores, predictor.model.input_section["kind"]
        self.scale = predictor.model.input_section.get("scale") or {"names": None}
        self.open: dict[str | int, Stream] = {}
        self.series: dict[str | int, str | None] = {}

    def handle(self, line: bytes) -> dict[str, Any]:
        """Push the event of a line into its stream and return the result. Raises DataError for a bad event."""
        event = parse_event(line, self.kind)
        name, end = event["stream"], event.get("end", False)
        stream = self.find_stream(event)
        piece = event.get("text" if self.kind == "text" else "x")
        output = stream.end() if piece is None else stream.push(piece, end=end, time=event.get("time"))
        self.open[name], self.series[name] = stream, self.series_name(event)
        if end:
            del self.open[name], self.series[name]
        return self.format_result(event, output, end)

    def find_stream(self, event: dict[str, Any]) -> Stream:
        """Return the stream of an event. Raises DataError if the stream belongs to another series."""
        name, series = event["stream"], self.series_name(event)
        if name not in self.open:
            return self.predictor.stream(series)
        if series != self.series[name]:
            raise DataError(f"'series' is {series!r}, but this stream is of {self.series[name]!r}; end it first")
        return self.open[name]

    def series_name(self, event: dict[str, Any]) -> str | None:
        """Return the name of an event's series, by default its stream's id."""
        name = event.get("series")
        if name is None and self.scale["names"] is not None:
            return self.series.get(event["stream"], str(event["stream"]))
        return str(name) if name is not None else None

    def format_result(self, event: dict[str, Any], output: Scores | Forecast, end: bool) -> dict[str, Any]:
        """Return the object to print for an event and the model's output; null where the output is not finite."""
        from ..runtime import Forecast, Scores

        if output.values is not None and not np.isfinite(output.values).all():
            if isinstance(output, Scores):
                output = Scores(None, output.labels, NOT_FINITE, output.multi_label)
            else:
                output = Forecast(None, output.quantiles, output.columns, NOT_FINITE)
        result: dict[str, Any] = {key: event[key] for key in ("stream", "seq") if key in event}
        result |= self.format_scores(output) if isinstance(output, Scores) else output.as_dict()
        return {**result, "final": True} if end else result

    def format_scores(self, scores: Scores) -> dict[str, Any]:
        """Return the part of a result that holds labels and scores, or values."""
        if self.predictor.labels is None:
            values = None if scores.values is None else list(map(shortest_decimal, scores.values))
            return {"values": values} if values is not None else {"values": None, "reason": scores.reason}
        if scores.label is None or scores.values is None:
            return {"label": None, "score": None, "reason": scores.reason}
        result: dict[str, Any] = {"label": scores.label, "score": shortest_decimal(scores.score)}
        if scores.multi_label:
            result["labels"] = scores.predicted_labels
        if self.all_scores:
            labels = self.predictor.model.labels or []
            result["scores"] = dict(zip(labels, map(shortest_decimal, scores.values), strict=True))
        return result


def parse_event(line: bytes, kind: str) -> dict[str, Any]:
    """Parse a line and check its event. kind: the kind of the model's input."""
    check_line(line)
    try:
        event = json.loads(
            line.decode(),
            parse_constant=strictjson.refuse_constant,
            object_pairs_hook=strictjson.build_object,
        )
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start} of the line") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"not JSON ({error})") from error
    except ValueError as error:  # Python does not parse integers of thousands of digits
        raise DataError("an integer has too many digits") from error
    if not isinstance(event, dict):
        raise DataError(f"expected a JSON object, found {type(event).__name__}")
    for key in event:
        if key not in KEYS:
            raise DataError(f"unknown key {key!r}; an event has {', '.join(KEYS)}")
    check_event(event, kind)
    if kind != "text" and (b"true" in line or b"false" in line) and contains_boolean(event.get("x")):
        raise DataError("'x' contains true or false; expected numbers; send 1 or 0 instead")
    return event


def check_event(event: dict[str, Any], kind: str) -> None:
    """Raise DataError for a key of the wrong type, or if there is nothing to score."""
    if "stream" not in event:
        raise DataError("the event has no 'stream', the id of its stream")
    key_types = (
        ("stream", (str, int), "text or an integer"),
        ("text", (str,), "text"),
        ("series", (str,), "text"),
        ("time", (str, list), "text, or a list of it"),
        ("seq", (int,), "an integer"),
    )
    for key, types, expected in key_types:
        if key in event and (not isinstance(event[key], types) or isinstance(event[key], bool)):
            raise DataError(f"{key!r} is {event[key]!r}; expected {expected}")
    if isinstance(event["stream"], str) and not is_encodable(event["stream"]):
        raise DataError(f"'stream' is {event['stream']!r}, which contains half a surrogate pair; expected text")
    if not isinstance(event.get("end", False), bool):
        raise DataError(f"'end' is {event['end']!r}; expected true or false")
    piece, other = ("text", "x") if kind == "text" else ("x", "text")
    if other in event:
        raise DataError(f"the event has {other!r}, but this model takes {INPUT_NAMES[kind]}; send {piece!r}")
    if kind != "series" and (more := [key for key in SERIES_KEYS if key in event]):
        raise DataError(f"the event has {more[0]!r}, but this model takes {INPUT_NAMES[kind]}; leave it out")
    if event.get(piece) is None and not event.get("end"):
        raise DataError(f"the event has neither {piece!r} nor 'end'")
    if event.get(piece) is None and "time" in event:
        raise DataError(f"the event has 'time' without {piece!r}; leave it out")


def contains_boolean(x: Any, depth: int = 2) -> bool:
    """Check whether a value, or lists of values up to this depth, contain true or false."""
    if isinstance(x, list):
        return depth > 0 and any(contains_boolean(one, depth - 1) for one in x)
    return isinstance(x, bool)


def is_encodable(text: str) -> bool:
    """Check whether a text can be encoded as UTF-8, which half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
