"""Answer live events: JSON lines in, one JSON line out for each.

An event is {"stream": id, "text": "..."}: a piece of a message, cut anywhere.
For a model of numbers it is {"stream": id, "x": [...]}: one step, or a list of
steps; for one of token ids "x" is an id, or a list of ids. "end": true gives
the final score and begins the stream's next message; "seq", an integer, comes
back as it is. Before the first step label and score are null and "reason" says
why; a model without labels answers with "values". Every answer is flushed at
once.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from .. import strictjson
from ..errors import DataError, TidegateError, located
from ._inputs import TAKES
from ._parser import Parser
from ._table import decimal

if TYPE_CHECKING:
    from ..runtime import Predictor, Scores, Stream

EXAMPLES = """\
  cat events.jsonl | tidegate stream intent.safetensors > scores.jsonl
  echo '{"stream": 1, "text": "what is my", "end": true}' | \\
      tidegate stream intent.safetensors --all"""

KEYS = ("stream", "text", "x", "seq", "end")
REMEDY = "correct it, or leave bad events out with --skip-bad"


def flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model file")
    parser.add_argument("--all", action="store_true", help="the score of every label, not only of the best")
    parser.add_argument("--skip-bad", action="store_true", help="leave bad events out and list them at the end")


def run(args: argparse.Namespace) -> int:
    from ..runtime import load

    predictor = load(args.model)
    with located(args.model):
        predictor.stream()  # a model that cannot stream is refused before the first event
    streams = Streams(predictor, args.all)
    bad = []
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            print(json.dumps(streams.answer(line), ensure_ascii=False), flush=True)
        except TidegateError as error:
            if not args.skip_bad:
                raise DataError(f"stdin:{number}: {error}; {REMEDY}") from error
            bad.append(f"stdin:{number}: {error}")
    for sentence in bad:
        print(f"tidegate: left out {sentence}", file=sys.stderr)
    if bad:
        print(f"tidegate: {len(bad)} bad events were left out", file=sys.stderr)
    return 0


class Streams:
    """One stream an id; it is forgotten when its message ends, so memory follows the messages under way."""

    def __init__(self, predictor: Predictor, every: bool) -> None:
        self.predictor, self.every, self.kind = predictor, every, predictor.model.document["input"]["kind"]
        self.open: dict[str | int, Stream] = {}

    def answer(self, line: bytes) -> dict[str, Any]:
        found = event(line, self.kind)
        name, end = found["stream"], found.get("end", False)
        stream = self.open[name] if name in self.open else self.predictor.stream()
        piece = found.get("text" if self.kind == "text" else "x")
        scores = stream.end() if piece is None else stream.push(piece, end=end)
        self.open[name] = stream
        if end:
            del self.open[name]
        return self.shown(found, scores, end)

    def shown(self, found: dict[str, Any], scores: Scores, end: bool) -> dict[str, Any]:
        said: dict[str, Any] = {key: found[key] for key in ("stream", "seq") if key in found}
        if self.predictor.labels is None:
            values = None if scores.values is None else list(map(decimal, scores.values))
            said |= {"values": values} if values is not None else {"values": None, "reason": scores.reason}
        elif scores.label is None or scores.values is None:
            said |= {"label": None, "score": None, "reason": scores.reason}
        else:
            said |= {"label": scores.label, "score": decimal(scores.score)}
            if self.every:
                labels = self.predictor.model.labels or []
                said["scores"] = dict(zip(labels, map(decimal, scores.values), strict=True))
        return {**said, "final": True} if end else said


def event(line: bytes, kind: str) -> dict[str, Any]:
    """The event of a line, checked. kind: of the model's input."""
    try:
        found = json.loads(line.decode(), parse_constant=strictjson.no_constant, object_pairs_hook=strictjson.unique)
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start} of the line") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"not JSON ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f"expected a JSON object, found {type(found).__name__}")
    for key in found:
        if key not in KEYS:
            raise DataError(f"unknown key {key!r}; an event has {', '.join(KEYS)}")
    check(found, kind)
    return found


def check(found: dict[str, Any], kind: str) -> None:
    """Raises DataError for a key of the wrong type, or when there is nothing to answer."""
    if "stream" not in found:
        raise DataError("the key 'stream' is missing")
    wanted = (
        ("stream", (str, int), "text or an integer"),
        ("text", (str,), "text"),
        ("seq", (int,), "an integer"),
    )
    for key, kinds, said in wanted:
        if key in found and (not isinstance(found[key], kinds) or isinstance(found[key], bool)):
            raise DataError(f"{key!r} is {found[key]!r}; expected {said}")
    if not isinstance(found.get("end", False), bool):
        raise DataError(f"'end' is {found['end']!r}; expected true or false")
    piece, other = ("text", "x") if kind == "text" else ("x", "text")
    if other in found:
        raise DataError(f"{other!r} is there, and this model takes {TAKES[kind]}; send {piece!r}")
    if found.get(piece) is None and not found.get("end"):
        raise DataError(f"neither {piece!r} nor 'end' is there")
