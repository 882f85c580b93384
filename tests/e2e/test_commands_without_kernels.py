"""Fused kernels change no byte of what a command says or writes: each runs with them and with TIDEGATE_FUSED=0."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from intents import messages, write

from tidegate import cli
from tidegate.model import Model
from tidegate.runtime.compiled_model import CompiledModel

TEXT = "what's my balance, pls block it"
TINY = ("--hidden", "9", "--embed", "8", "--epochs", "2")
LABELS = ("--text", "message", "--label", "intent", *TINY)
SERIES = ("--time", "at", "--horizon", "3", "--hidden", "9", "--epochs", "2", "--refit-epochs", "0")
FITS = {
    "intent": ("classify", "messages.csv", *LABELS),
    "whole": ("classify", "messages.csv", *LABELS, "--direction", "both"),
    "several": ("classify", "messages.csv", *LABELS, "--label-separator", "|", "--cell", "lstm"),
    "slots": ("tag", "slots.csv", "--tokens", "words", "--tags", "slots", "--label", "intent", *TINY),
    "load": ("forecast", "load.csv", "--calendar", "day", *SERIES),
    "rolled": ("forecast", "load.csv", "--scale", "fixed", "--head", "autoregressive", *SERIES),
}
BF16 = (("--weights", "bf16"), ("--compute", "bf16"))
NO_MODEL = "answers without a model"


class Run(NamedTuple):
    """A command line without its command, and what it reads from stdin."""

    arguments: tuple[str, ...]
    stdin: str = ""


def data_of(model: str) -> str:
    return FITS[model][1]


def in_each_precision(*arguments: str, stdin: str = "") -> Iterator[Run]:
    yield from (Run((*arguments, *precision), stdin) for precision in ((), *BF16))


def predict() -> Iterator[Run]:
    for model in FITS:
        if data_of(model) != "load.csv":
            yield from in_each_precision(f"{model}.safetensors", "--message", TEXT, "--json")
        yield Run((f"{model}.safetensors", data_of(model), "--out", f"{model}.jsonl"))
        yield Run((f"{model}.safetensors", data_of(model)))


def score() -> Iterator[Run]:
    for model in FITS:
        start = ("--start", "90") if data_of(model) == "load.csv" else ()
        yield from in_each_precision(f"{model}.safetensors", data_of(model), *start, "--json")


def stream() -> Iterator[Run]:
    words = [{"stream": i % 3, "text": piece} for i, piece in enumerate([*TEXT, " how ", "much?"])]
    ends = [{"stream": i, "end": True} for i in range(3)]
    steps = [{"stream": 1, "x": [x], "time": at} for at, x in series()[:70]]
    for model in FITS:
        events = steps if data_of(model) == "load.csv" else words + ends
        if model == "rolled":
            events = [{"stream": event["stream"], "x": event["x"]} for event in steps[:9]]
        lines = "".join(json.dumps(event) + "\n" for event in events)
        yield from in_each_precision(f"{model}.safetensors", "--all", "--per-step", stdin=lines)


def verify() -> Iterator[Run]:
    """Verify on native targets alone; whatever the environment says, `verify` runs each with kernels and without."""
    yield Run(("intent.safetensors", "--json", *BF16[1]))


def info() -> Iterator[Run]:
    yield from (Run((f"{model}.safetensors", "--json")) for model in FITS)


def export() -> Iterator[Run]:
    yield from (Run(("intent.safetensors", "--to", to)) for to in ("c", "onnx"))


def fit() -> Iterator[Run]:
    yield from (Run((*arguments, "--out", f"new-{model}.safetensors")) for model, arguments in FITS.items())


COMMANDS: dict[str, Callable[[], Iterator[Run]] | str] = {
    "completion": NO_MODEL,
    "data": NO_MODEL,
    "demo": "does what fit, score, verify and stream do, with data that it fetches",
    "export": export,
    "fit": fit,
    "info": info,
    "predict": predict,
    "score": score,
    "stream": stream,
    "verify": verify,
}
RUN = [name for name, runs in COMMANDS.items() if not isinstance(runs, str)]


def series() -> list[tuple[str, float]]:
    times = np.datetime64("2024-01-01T00:00") + np.arange(110) * np.timedelta64(1, "h")
    noise = np.random.default_rng(3).standard_normal(len(times))
    return [(str(at), 30 + 4 * np.sin(t / 4) + noise[t]) for t, at in enumerate(times)]


def slots() -> list[tuple[str, str, str]]:
    cities, rng = ["oslo", "new york", "rome", "bonn", "san jose"], np.random.default_rng(4)
    rows = []
    for i in range(40):
        a, b = rng.choice(cities, 2, replace=False)
        tags = [
            tag
            for name, city in (("from", a), ("to", b))
            for tag in ("O", f"B-{name}", f"I-{name}")[: 2 + (" " in city)]
        ]
        rows.append((f"{('fly', 'list')[i % 2]} from {a} to {b}", " ".join(["O", *tags]), "ab"[i % 2]))
    return rows


def run(folder: Path, command: str, one: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a command in a folder and return its exit code and what it says."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(one.stdin.encode())))
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main([command, *one.arguments])
    assert code == 0, (command, one, err.getvalue())
    return out.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the data and a model of each of FITS."""
    folder = tmp_path_factory.mktemp("made")
    write(folder / "messages.csv", messages(60, 1))
    for name, rows in (("slots", [("words", "slots", "intent"), *slots()]), ("load", [("at", "load"), *series()])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for model, arguments in FITS.items():
            run(folder, "fit", Run((*arguments, "--out", f"{model}.safetensors")), monkeypatch)
        yield folder


def run_all(folder: Path, command: str, fused: str, monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """Run a command on everything in a folder; return what each run said, and the bytes of every file then."""
    monkeypatch.setenv("TIDEGATE_FUSED", fused)
    runs = COMMANDS[command]
    assert callable(runs)
    said = {one: without_engine(run(folder, command, one, monkeypatch)) for one in runs()}
    return {**said, **{path.name: path.read_bytes() for path in sorted(folder.iterdir())}}


def without_engine(said: str) -> str:
    """Leave out what `info` says of the code that runs each layer, which differs as it should."""
    try:
        facts = json.loads(said)
    except ValueError:
        return said
    for layer in facts.get("layers", ()):
        del layer["runs_as"]
    return json.dumps(facts)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of layers that run a fused kernel in each model that a command compiles."""
    found: list[int] = []
    original = CompiledModel.__init__

    def compile_and_count(self: CompiledModel, *arguments: Any, **more: Any) -> None:
        original(self, *arguments, **more)
        found.append(len(self.runner.fused_layers))

    monkeypatch.setattr(CompiledModel, "__init__", compile_and_count)
    return found


def test_it_is_decided_for_every_command() -> None:
    assert set(COMMANDS) == set(cli.command_names())


@pytest.mark.parametrize("command", RUN)
def test_no_byte_differs_without_fused_kernels(
    command: str, made: Path, tmp_path: Path, compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, counts = [], []
    for fused in ("1", "0"):
        compiled.clear()
        answers.append(run_all(shutil.copytree(made, tmp_path / fused), command, fused, monkeypatch))
        counts.append(list(compiled))
    assert answers[0] == answers[1]
    if command in ("predict", "score", "stream", "info"):
        assert all(counts[0])
        assert counts[1] == [0] * len(counts[0])


@pytest.mark.parametrize("command", ["predict", "score", "stream"])
def test_other_weights_are_noticed(command: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the other side are larger by what the numbers show that a command prints: a stream's are exact."""
    share = np.float32(1 + (2.0**-22 if command == "stream" else 1 / 4))
    other = shutil.copytree(made, tmp_path / "0")
    for path in other.glob("*.safetensors"):
        model = Model.load(path)
        names = {name for layer in model.layers for name in layer.tensors.values()}
        Model(model.document, {**model.tensors, **{name: model.tensors[name] * share for name in names}}).save(path)
    said = run_all(shutil.copytree(made, tmp_path / "1"), command, "1", monkeypatch)
    otherwise = run_all(other, command, "0", monkeypatch)
    noticed = {one.arguments[0] for one in said if isinstance(one, Run) and said[one] != otherwise[one]}
    assert noticed == {one.arguments[0] for one in said if isinstance(one, Run)}
