"""A checkpoint resumes the run that wrote it, or is refused in one sentence."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import files, tasks, tensors
from tidegate.data.table import Table
from tidegate.errors import ModelFileError, OptionError, TidegateError
from tidegate.train import checkpoint
from tidegate.train.job import TrainingJob
from tidegate.train.loop import Run

OPTIONS = {"hidden": 4, "embed": 4, "epochs": 2, "batch": 8, "refit_epochs": 0}
TABLE = Table(
    "t.csv",
    {"text": [f"{('play', 'pay')[i % 2]} {i % 5}" for i in range(40)], "label": ["ab"[i % 2] for i in range(40)]},
    list(range(2, 42)),
    "0" * 64,
)
JOB = TrainingJob(tasks.load("classify"), tasks.load("classify").Options(**OPTIONS), TABLE, None, 1)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the checkpoint of a run in its second epoch."""
    path = tmp_path_factory.mktemp("run") / "m.checkpoint"
    run = JOB.run(None)
    for _ in itertools.islice(run.run(), 7):
        pass
    assert run.history
    checkpoint.save(str(path), run, JOB.identity())
    return path


@pytest.fixture(scope="module")
def run() -> Run:
    return JOB.run(None)


def load(run: Run) -> None:
    checkpoint.load("m.checkpoint", run, JOB.identity(), type(JOB.options))


def test_every_flipped_bit_of_a_checkpoint_is_refused(saved: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flip one bit of every seventh byte of the header, and of every 41st byte of the tensors."""
    content, loaded = saved.read_bytes(), []
    header = 8 + int.from_bytes(content[:8], "little")
    for at in (*range(16), *range(16, header, 7), *range(header, len(content), 41)):
        changed = bytearray(content)
        changed[at] ^= 1 << (at * 5 % 8)
        monkeypatch.setattr(files, "read", lambda *_, changed=bytes(changed): changed)
        try:
            load(run)
        except TidegateError:
            continue
        loaded.append(at)
    assert loaded == []
    monkeypatch.setattr(files, "read", lambda *_: content)
    load(run)


def put(*path: Any) -> Any:
    """Make a change of the document: the last of `path` becomes the value of the keys before it."""
    *keys, last, value = path

    def change(document: dict[str, Any], arrays: dict[str, Any]) -> None:
        inner: Any = document
        for key in keys:
            inner = inner[key]
        inner[last] = value

    return change


def without(*path: str) -> Any:
    *keys, last = path

    def change(document: dict[str, Any], arrays: dict[str, Any]) -> None:
        inner: Any = document
        for key in keys:
            inner = inner[key]
        del inner[last]

    return change


def tensor(change: Any) -> Any:
    def changed(document: dict[str, Any], arrays: dict[str, Any]) -> None:
        name = next(name for name in arrays if name.endswith("/best"))
        array = change(arrays.pop(name))
        if array is not None:
            arrays[name] = array

    return changed


HOSTILE = {
    "no version": (without("version"), "made by another version of tidegate"),
    "another version": (put("version", 1), "made by another version of tidegate"),
    "no identity": (without("identity"), "parts other than version, identity and values"),
    "identity a list": (put("identity", []), "parts other than version, identity and values"),
    "more parts": (put("more", 1), "parts other than version, identity and values"),
    "no values": (without("values"), "parts other than version, identity and values"),
    "values a list": (put("values", []), "its values must be epoch, offset"),
    "a value missing": (without("values", "step"), "its values must be epoch, offset"),
    "another value": (put("values", "network", 1), "its values must be epoch, offset"),
    "a count of text": (put("values", "epoch", "1"), "its value epoch is '1', which a run cannot have"),
    "a count below 0": (put("values", "offset", -1), "its value offset is -1"),
    "a count true": (put("values", "step", True), "its value step is True"),
    "a count too large": (put("values", "step", 10**18), "its value step is 1000000000000000000"),
    "one best value": (put("values", "best_value", [1.0]), r"its value best_value is \[1.0\]"),
    "best value of text": (put("values", "best_value", ["a", "b"]), "its value best_value is"),
    "a calibration too early": (put("values", "calibration", {"label": {"factor": 1.5}}), "its value calibration is"),
    "calibration a list": (put("values", "calibration", [1.5]), r"its value calibration is \[1.5\]"),
    "figures a list": (put("values", "kept_figures", []), r"its value kept_figures is \[\]"),
    "figures null": (put("values", "kept_figures", {"a": None}), "its value kept_figures is"),
    "loss null": (put("values", "loss_sum", None), "its value loss_sum is None"),
    "history of numbers": (put("values", "history", [1]), r"its value history is \[1\]"),
    "history without metric": (put("values", "history", [{"loss": 1.0}]), "its value history is"),
    "history an object": (put("values", "history", {}), "its value history is"),
    "stopped by 1": (put("values", "stopped_early", 1), "its value stopped_early is 1"),
    "tensor missing": (tensor(lambda array: None), "the tensor '.*/best' is missing"),
    "tensor more": (lambda d, a: a.update(more=np.zeros(2)), "the tensor 'more' is not of this run"),
    "tensor of float64": (tensor(lambda a: a.astype(np.float64)), "is float64 .*; expected float32"),
    "tensor of another shape": (tensor(lambda a: a[:-1]), "; expected float32"),
    "tensor of one": (tensor(lambda a: a[:1, :1]), "; expected float32"),  # which torch would broadcast
    "tensor with NaN": (tensor(lambda a: np.full_like(a, np.nan)), "has values that are NaN or infinite"),
}


@pytest.mark.parametrize(("change", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_checkpoint_with_a_right_sum_is_one_sentence_and_changes_nothing(
    saved: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays, text, _ = tensors.load(saved, checkpoint.KEY)
    document, arrays = json.loads(text), {name: np.array(v) for name, v in arrays.items()}
    change(document, arrays)
    tensors.save("m.checkpoint", arrays, checkpoint.KEY, json.dumps(document))
    before = {name: np.array(v) for name, v in run.state()[0].items()}
    with pytest.raises(ModelFileError, match=rf"^m\.checkpoint: .*{sentence}.*; start again with --restart$") as caught:
        load(run)
    assert "\n" not in str(caught.value)
    assert all(np.array_equal(before[name], v) for name, v in run.state()[0].items())


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"version": 2, "version": 2}', '{"version": NaN}', "[" * 999])
def test_a_document_that_is_none_is_one_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tensors.save("m.checkpoint", {}, checkpoint.KEY, text)
    with pytest.raises(ModelFileError, match=r"^m\.checkpoint: .*; start again with --restart$"):
        load(run)


def test_a_checkpoint_without_a_sum_is_of_another_version(
    saved: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays, text, _ = tensors.load(saved, checkpoint.KEY)
    tensors.write("m.checkpoint", arrays, {checkpoint.KEY: text})
    with pytest.raises(ModelFileError, match="made by another version of tidegate; start again with --restart"):
        load(run)


def test_what_the_run_is_of_is_compared_key_by_key(
    saved: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays, text, _ = tensors.load(saved, checkpoint.KEY)
    for key, value in (("data", "1" * 64), ("more", 1)):
        document = json.loads(text)
        document["identity"][key] = value
        tensors.save("m.checkpoint", arrays, checkpoint.KEY, json.dumps(document))
        with pytest.raises(OptionError, match=f"m.checkpoint: {key} was .* a resumed run must be the same run"):
            load(run)


def test_a_checkpoint_with_the_option_names_of_an_older_version_resumes(
    saved: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays, text, _ = tensors.load(saved, checkpoint.KEY)
    document = json.loads(text)
    options = document["identity"]["options"]
    options["tokens"] = {"word": "word", "character": "char"}[options.pop("unit")]
    tensors.save("m.checkpoint", arrays, checkpoint.KEY, json.dumps(document))
    load(run)
    document["identity"]["options"] = None
    tensors.save("m.checkpoint", arrays, checkpoint.KEY, json.dumps(document))
    with pytest.raises(OptionError, match="options was None"):
        load(run)


def test_a_calibration_is_of_the_outputs_and_comes_after_the_judged_epochs(run: Run) -> None:
    epochs, factor = run.config.epochs, {"factor": 1.5}
    assert checkpoint.is_calibration(run, {"label": factor}, epochs)
    assert not checkpoint.is_calibration(run, {"label": factor}, epochs - 1)
    assert not checkpoint.is_calibration(run, {"other": factor}, epochs)
    assert not checkpoint.is_calibration(run, {"label": [1.5]}, epochs)
    assert not checkpoint.is_calibration(run, [factor], epochs)
