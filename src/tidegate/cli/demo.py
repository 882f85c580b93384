"""See it work: classify news and forecast a load curve, in a few minutes.

Downloads Reuters news in eight topics, trains a model with a progress bar,
scores it on the official test set, verifies it on every target of this machine
and streams messages through it word by word, in a process without torch. Then
forecasts half-hourly demand for electricity a day ahead, and plots the result.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .. import atomic
from ..errors import MissingExtra, TidegateError
from ..text_tables import format_size
from . import _flags
from ._console import OUTPUT_CLOSED, terminal_width
from ._console import print_headline as step
from ._parser import FolderPath, Parser
from ._progress import Reporter, format_duration

EXAMPLES = """\
  tidegate demo
  tidegate demo --out /tmp/reuters"""

SET = "reuters_r8"
SERIES, HORIZON = "load", 48
TEXTS_MODEL, SERIES_MODEL, PICTURE = "reuters.safetensors", "load.safetensors", "load.png"
TOPICS, WORDS = 3, (8, 24)

NEXT = """\
Now try your own files, with a column of texts and one of labels, or with columns of numbers:

  {tidegate} fit classify train.csv --text message --label intent --out intent.safetensors
  {tidegate} score intent.safetensors test.csv
  {tidegate} predict intent.safetensors --message "what's my balance"
  echo '{{"stream": 1, "text": "what is my ", "end": true}}' | {tidegate} stream intent.safetensors
  {tidegate} fit forecast sales.csv --horizon 14 --out sales.safetensors"""


def add_flags(parser: Parser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", action=FolderPath, default="demo", help="folder for the models (default demo)"
    )
    _flags.add_force(parser)


def run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    atomic.make_folder(args.out)
    model = os.path.join(args.out, TEXTS_MODEL)
    check_paths(args.out, args.force)
    from ..data import catalogue

    files = fetch()
    step("2. Train: a GRU, on this CPU")
    train(catalogue.get(SET).task, files["train"], model, force=args.force)
    score(model, files["test"])
    code = verify(model)
    stream(model, choose_stories(files["test"]))
    forecast(args.out, args.force)
    step(f"Done in {format_duration(time.monotonic() - started)}")
    print(NEXT.format(tidegate=command_name()))
    return code


def fetch() -> dict[str, Path]:
    from ..data import catalogue

    step("1. Data: Reuters R8, news stories in eight topics")
    known = catalogue.get(SET)
    files = catalogue.fetch(SET, lambda note: print(note, flush=True))
    print(f"{known.rows['train']:,} stories to train on, {known.rows['test']:,} to test on")
    return files


def train(task: str, file: Path, model: str, **options: Any) -> None:
    """Train a model; continue from the checkpoint if the demo was interrupted."""
    from ..train.job import fit

    resume = os.path.exists(model + ".checkpoint")
    started = time.monotonic()
    try:
        with Reporter(sys.stderr) as report:
            fit(task, str(file), out=model, resume=resume, progress=report, **options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; run the same command again to continue") from None
    print(f"wrote {model} ({format_size(os.path.getsize(model))}) after {format_duration(time.monotonic() - started)}")


def score(model: str, file: Path) -> None:
    from .score import measure

    step("3. Score: the official test set")
    print(measure(model, str(file)).report(terminal_width()))


def verify(model: str) -> int:
    from . import verify as command

    step("4. Verify: the same result on every target of this machine")
    _, results = command.replay(model)
    print(command.format_report(results, terminal_width()))
    return command.exit_code(results)


def choose_stories(file: Path) -> list[tuple[str, str]]:
    """Choose one story, as (topic, text), from each of a few topics, short enough to watch."""
    from ..data.table import read_table

    rows = read_table(file)
    stories: dict[str, str] = {}
    for text, label in zip(rows.column("text"), rows.column("label"), strict=True):
        if label not in stories and WORDS[0] <= len(text.split()) <= WORDS[1]:
            stories[label] = text
    return list(stories.items())[:TOPICS]


def stream(model: str, stories: list[tuple[str, str]]) -> None:
    """Stream the stories word by word in a process without torch."""
    step("5. Stream: word by word, in a process without torch")
    child = subprocess.run([sys.executable, "-m", "tidegate.cli._live", model], input=json.dumps(stories), text=True)
    if child.returncode == OUTPUT_CLOSED:
        raise BrokenPipeError
    if child.returncode:
        raise TidegateError("the streaming process failed; see its error above")


def check_paths(folder: str, force: bool) -> None:
    """Check early that all files can be written."""
    from .. import model
    from ..plots import png

    for name in (TEXTS_MODEL, SERIES_MODEL):
        atomic.check(os.path.join(folder, name), model.KIND, force=force)
    png.check_path(os.path.join(folder, PICTURE), force=force)


def forecast(folder: str, force: bool) -> None:
    """Forecast half-hourly load a day ahead: train on eight weeks, test on four, and plot."""
    from ..data import catalogue
    from ..tasks._forecast_report import ForecastScores
    from .score import measure

    step("6. Forecast: half-hourly demand for electricity, a day ahead")
    files = catalogue.fetch(SERIES, lambda note: print(note, flush=True))
    model = os.path.join(folder, SERIES_MODEL)
    train(catalogue.get(SERIES).task, files["train"], model, horizon=HORIZON, time="time", values="load", force=force)
    scored = measure(model, str(files["all"]))
    assert isinstance(scored, ForecastScores)
    print(f"\n{scored.report(terminal_width())}\n")
    print(scored.draw(min(100, terminal_width()), (sys.stdout.encoding or "").lower().startswith("utf")))
    picture = os.path.join(folder, PICTURE)
    try:
        print(f"wrote {scored.plot(picture, force)}")
    except MissingExtra as error:
        print(f"no picture: {error}")


def command_name() -> str:
    """Return how to call tidegate here: by name if it is on the path, otherwise by its location."""
    script = Path(sys.executable).with_name("tidegate")
    if shutil.which("tidegate"):
        return "tidegate"
    return os.path.relpath(script) if script.exists() else f"{os.path.relpath(sys.executable)} -m tidegate"
