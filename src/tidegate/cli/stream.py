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

In a model of conversations, "end": true ends a message, and "end":
"conversation" the conversation too. What the model reads at the end of a
message, such as who speaks, has a key of its own, in any event of the message:

  {"stream": id, "text": "...", "speaker": "ann", "end": true}

Until a message ends, the result about the conversation is a preview.

A result has "label" and "score"; if there can be several labels, also "labels",
those with a score of at least 0.5. A forecaster gives "forecast", the median of
each step ahead by column, and "quantiles". A tagger gives "tags" and "scores".
A model without labels gives "values", and one with several outputs an object
for each. Until the first result is possible these are null, and "reason" says
why. A label is also null, with a reason, where the model has a threshold and is
in more doubt. If the model looks n steps ahead, a result is about the step n
before the last one, whose number is "step"; those of the last steps come with
"end". If it reads whole messages, as with --direction both, the one result of a
message comes with "end"; a tagger's then has the tags of all words. Every
result is flushed at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import strictjson
from ..errors import DataError, OptionError, TidegateError, error_context
from ..files import check_line
from . import _console, _precision
from ._parser import FilePath, Parser

if TYPE_CHECKING:
    from ..inputs.base import Input
    from ..outputs.base import Answer
    from ..runtime import Predictor

EXAMPLES = """\
  cat events.jsonl | tidegate stream intent.safetensors > scores.jsonl
  echo '{"stream": 1, "text": "what is my", "end": true}' | \\
      tidegate stream intent.safetensors --all
  echo '{"stream": "a", "x": [0.5, null], "time": "2024-01-31T23:30:00"}' | \\
      tidegate stream load.safetensors"""

KEYS = ("stream", "text", "x", "time", "series", "seq", "end")
PIECES = ("text", "x")
OPTIONS = ("time", "series")
ADVICE = "correct the event, or skip bad events with --skip-bad"


def add_flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", action=FilePath, help="model file")
    parser.add_argument("--all", action="store_true", help="give the scores of all labels, not only of the best")
    parser.add_argument(
        "--per-step",
        action="store_true",
        help='add "steps": a result for each step of the event; of a model that reads whole messages, for each step of '
        "the message that it ends",
    )
    parser.add_argument("--skip-bad", action="store_true", help="skip bad events and list them at the end")
    _precision.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    from ..runtime import load

    predictor = load(args.model, **_precision.load_arguments(args))
    with error_context(args.model):
        streams = Streams(predictor, args.all, args.per_step)
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
    """A pool of the streams that are open: one per id, forgotten when its message ends, or its conversation.

    Memory grows only with the number of open messages or conversations.
    """

    def __init__(self, predictor: Predictor, all_scores: bool = False, per_step: bool = False) -> None:
        source, *sides = predictor.model.inputs.values()
        self.source, self.pool, self.predictor = source, predictor.pool(), predictor
        self.format = EventFormat(source, tuple(side.name for side in sides), predictor.levels)
        if taken := [name for name in self.format.sides if name in (*KEYS, source.event_key)]:
            raise OptionError(f"the side input {taken[0]!r} has the name of another key of an event; rename it")
        self.all_scores, self.per_step = all_scores, per_step
        self.series: dict[str | int, str | None] = {}  # of each open stream

    def handle(self, line: bytes) -> dict[str, Any]:
        """Push the event of a line into its stream and return the result. Raises DataError for a bad event."""
        event = parse_event(line, self.format)
        id, end = event["stream"], event.get("end", False)
        series, is_new = self.series_name(event), id not in self.series
        if not is_new and series != self.series[id]:
            raise DataError(f"'series' is {series!r}, but this stream is of {self.series[id]!r}; end it first")
        if is_new:
            self.pool.add(id, series)
        try:
            result = self.push(event)
        except TidegateError:
            if is_new:
                self.pool.forget(id)
            raise
        self.series[id] = series
        if end and (len(self.predictor.levels) == 1 or end == self.predictor.levels[-1]):
            self.pool.forget(id)
            del self.series[id]
        return result

    def push(self, event: dict[str, Any]) -> dict[str, Any]:
        """Push an event into the pool and return its result."""
        id, end = event["stream"], event.get("end", False)
        piece, sides = event.get(self.source.event_key), self.sides_of(event)
        result: dict[str, Any] = {key: event[key] for key in ("stream", "seq") if key in event}
        if self.per_step:
            is_whole = end and (self.predictor.model.keeps > 0 or len(self.predictor.levels) > 1)
            before = self.end_whole(event) if is_whole else self.pool.scores(id)
            if piece is None:
                steps = self.pool.end(id, True, end, sides)
            else:
                steps = self.pool.push_one(id, piece, end, event.get("time"), per_step=True, sides=sides)
            if steps and not is_whole:
                result |= self.describe(steps[-1])
            else:
                result |= self.describe(before if end else self.pool.scores(id))
            result["steps"] = [self.describe(one) for one in steps]
        else:
            if piece is None:
                answer = self.pool.end(id, False, end, sides)
            else:
                answer = self.pool.push_one(id, piece, end, event.get("time"), False, sides)
            result |= self.describe(answer)
        return {**result, "final": True} if end else result

    def end_whole(self, event: dict[str, Any]) -> Answer:
        """Return the answer about the whole message that an event ends, and leave the stream in the pool as it is."""
        stream = self.predictor.stream(self.series_name(event))
        stream.restore(self.pool.state(event["stream"]))
        piece, end, sides = event.get(self.source.event_key), event["end"], self.sides_of(event)
        return stream.end(end, sides) if piece is None else stream.push(piece, end, event.get("time"), sides=sides)

    def sides_of(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Return an event's side inputs; None for an event without any."""
        return {name: event[name] for name in self.format.sides if name in event} or None

    def describe(self, answer: Answer) -> dict[str, Any]:
        """Return an answer for JSON, with the number of its step if answers are late."""
        named = {} if answer.step is None else {"step": answer.step}
        return {**named, **answer.as_dict(self.all_scores)}

    def series_name(self, event: dict[str, Any]) -> str | None:
        """Return the name of an event's series, by default its stream's id."""
        name = event.get("series")
        if name is None and self.source.names_series:
            return self.series.get(event["stream"], str(event["stream"]))
        return str(name) if name is not None else None


class EventFormat(NamedTuple):
    """What an event can have: pieces of an input, the names of side inputs, and words for the levels that end."""

    source: Input
    sides: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()


def parse_event(line: bytes, format: EventFormat) -> dict[str, Any]:
    """Parse a line and check its event. Raises DataError."""
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
    source = format.source
    keys = dict.fromkeys((*KEYS, source.event_key, *source.event_options, *format.sides))
    for key in event:
        if key not in keys:
            raise DataError(f"unknown key {key!r}; an event has {', '.join(keys)}")
    check_event(event, format)
    for key in ("x", *format.sides) if b"true" in line or b"false" in line else ():
        if contains_boolean(event.get(key)) and (key == "x" or isinstance(event[key], list)):
            raise DataError(f"{key!r} contains true or false; expected numbers; send 1 or 0 instead")
    return event


def check_event(event: dict[str, Any], format: EventFormat) -> None:
    """Raise DataError for a key of the wrong type, or if there is nothing to score."""
    source = format.source
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
    end = event.get("end", False)
    if not isinstance(end, bool) and end not in format.levels:
        words = f", {' or '.join(map(repr, format.levels))}" if len(format.levels) > 1 else ""
        raise DataError(f"'end' is {end!r}; expected true or false{words}")
    piece = source.event_key
    for key in PIECES:
        if key != piece and key in event:
            raise DataError(f"the event has {key!r}, but this model takes {source.takes}; send {piece!r}")
    for key in OPTIONS:
        if key not in source.event_options and key in event:
            raise DataError(f"the event has {key!r}, but this model takes {source.takes}; leave it out")
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
