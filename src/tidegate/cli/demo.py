"""The main jobs on real data: news topics and a forecast, in a few minutes.

Fetches Reuters news in eight topics, trains with a progress bar, scores on the
official test, verifies the file on every target of this machine, then streams
messages word by word in a process that has no torch. Then numbers: half-hourly
demand for electricity, a day ahead, with a picture of the forecast. Writes into
--out (default demo/).
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
from . import _flags
from ._console import OUTPUT_CLOSED
from ._console import print_headline as step
from ._parser import FolderPath, Parser
from ._progress import Reporter, format_duration
from ._table import format_size

EXAMPLES = """\
  tidegate demo
  tidegate demo --out /tmp/reuters"""

SET = "reuters_r8"
SERIES, HORIZON = "load", 48
TEXTS_MODEL, SERIES_MODEL, PICTURE = "reuters.safetensors", "load.safetensors", "load.png"
TOPICS, WORDS = 3, (8, 24)

NEXT = """\
On your own files, with a column for the text and one for the label, or with columns of numbers:

  {tidegate} fit classify train.csv --text message --label intent --out intent.safetensors
  {tidegate} score intent.safetensors test.csv
  {tidegate} predict intent.safetensors --message "what's my balance"
  echo '{{"stream": 1, "text": "what is my ", "end": true}}' | {tidegate} stream intent.safetensors
  {tidegate} fit forecast sales.csv --horizon 14 --out sales.safetensors"""


def add_flags(parser: Parser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", action=FolderPath, default="demo", help="folder for the model (default demo)"
    )
    _flags.add_force(parser)


def run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    atomic.make_folder(args.out)
    model = os.path.join(args.out, TEXTS_MODEL)
    check_paths(args.out, args.force)
    files = fetch()
    train("classify", files["train"], model, force=args.force)
    score(model, files["test"])
    code = verify(model)
    stream(model, choose_stories(files["test"]))
    forecast(args.out, args.force)
    step(f"Done in {format_duration(time.monotonic() - started)}")
    print(NEXT.format(tidegate=command_name()))
    return code


def fetch() -> dict[str, Path]:
    from ..data import catalogue

    step("1. Reuters R8: news stories, eight topics")
    known = catalogue.get(SET)
    files = catalogue.fetch(SET, lambda said: print(said, flush=True))
    print(f"{known.rows['train']:,} stories to learn from, {known.rows['test']:,} to test on")
    return files


def train(task: str, file: Path, model: str, **options: Any) -> None:
    """Fit; a demo that was interrupted goes on where it was."""
    from ..train import fit

    if task == "classify":
        step("2. Training a GRU on this CPU")
    resume = os.path.exists(model + ".checkpoint")
    started = time.monotonic()
    try:
        with Reporter(sys.stderr) as report:
            fit(task, str(file), out=model, resume=resume, progress=report, **options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; run the same command to go on") from None
    print(f"wrote {model} ({format_size(os.path.getsize(model))}) after {format_duration(time.monotonic() - started)}")


def score(model: str, file: Path) -> None:
    from .score import format_report, measure

    step("3. Scoring the file on the official test")
    print(format_report(measure(model, str(file), None, None, "error")))


def verify(model: str) -> int:
    from . import verify as command

    step("4. The same answer on every target of this machine?")
    _, results = command.replay(model)
    print(command.format_report(results))
    return command.exit_code(results)


def choose_stories(file: Path) -> list[tuple[str, str]]:
    """The first (topic, text) of a few topics whose text is short enough to watch."""
    from ..data.table import read

    rows = read(file)
    found: dict[str, str] = {}
    for text, label in zip(rows.column("text"), rows.column("label"), strict=True):
        if label not in found and WORDS[0] <= len(text.split()) <= WORDS[1]:
            found[label] = text
    return list(found.items())[:TOPICS]


def stream(model: str, stories: list[tuple[str, str]]) -> None:
    """Have a process without torch read the stories word by word."""
    step("5. Live: word by word, in a process without torch")
    child = subprocess.run([sys.executable, "-m", "tidegate.cli._live", model], input=json.dumps(stories), text=True)
    if child.returncode == OUTPUT_CLOSED:
        raise BrokenPipeError
    if child.returncode:
        raise TidegateError("the process that streams failed, see above")


def check_paths(folder: str, force: bool) -> None:
    """Refuse what is in the way of the files now, not when the first of them are made."""
    from .. import model
    from ..plots import png

    for name in (TEXTS_MODEL, SERIES_MODEL):
        atomic.check(os.path.join(folder, name), model.KIND, force=force)
    png.check_path(os.path.join(folder, PICTURE), force=force)


def forecast(folder: str, force: bool) -> None:
    """Half-hourly load a day ahead: eight weeks to learn from, four to be tested on, and a picture."""
    from ..backtest import backtest
    from ..data import catalogue
    from . import _forecasts

    step("6. Numbers: half-hourly demand for electricity, a day ahead")
    files = catalogue.fetch(SERIES, lambda said: print(said, flush=True))
    model = os.path.join(folder, SERIES_MODEL)
    train("forecast", files["train"], model, horizon=HORIZON, time="time", values="load", force=force)
    found = backtest(model, str(files["all"]))
    print(f"\n{_forecasts.format_backtest(found)}\n")
    print(_forecasts.draw_last_chart(found.series[0], found))
    picture = os.path.join(folder, PICTURE)
    try:
        print(f"wrote {_forecasts.plot_last(found.series[0], found, picture, force)}")
    except MissingExtra as error:
        print(f"no picture: {error}")


def command_name() -> str:
    """How tidegate is typed here: by name where it is on the path, else by where it lies."""
    beside = Path(sys.executable).with_name("tidegate")
    if shutil.which("tidegate"):
        return "tidegate"
    return os.path.relpath(beside) if beside.exists() else f"{os.path.relpath(sys.executable)} -m tidegate"
