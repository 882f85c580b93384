"""Models of every preset, of every task and kind of data: they fit, verify and stream, and their sizes ascend."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import export, load
from tidegate.data.series import from_arrays, read_series
from tidegate.data.table import Table
from tidegate.errors import OptionError
from tidegate.estimators import Classifier
from tidegate.model import Model
from tidegate.tasks._options import PRESETS
from tidegate.train import fit
from tidegate.verify import verify
from tidegate.verify.c_target import find_compiler

QUICK: dict[str, Any] = {"epochs": 1, "refit_epochs": 0, "batch": 16}
ROWS = 60
WORDS = {"weather": ["rain", "sun", "storm"], "music": ["play", "song", "tune"]}
LABELS = [list(WORDS)[i % 2] for i in range(ROWS)]


def texts() -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join([*random.choice(WORDS[label], 3), *random.choice(["the", "a", "is"], 3)]) for label in LABELS]


def table(**more: list[str]) -> Table:
    return Table("t.csv", {"text": texts(), "label": LABELS, **more}, list(range(2, ROWS + 2)), "0" * 64)


def talks() -> Table:
    return table(talk=[str(i // 4) for i in range(ROWS)], turn=[str(i % 4) for i in range(ROWS)])


def tagged() -> Table:
    tags = [" ".join("O" if word in ("the", "a", "is") else "B-topic" for word in text.split()) for text in texts()]
    return table(tokens=texts(), tags=tags)


def beats() -> Any:
    return from_arrays(np.random.default_rng(1).standard_normal((ROWS, 12, 2)), labels=LABELS)


def load_curve() -> Any:
    steps = np.arange(400)
    return read_series([np.sin(steps * np.pi / 12)[:, None] + np.random.default_rng(2).normal(0, 0.1, (400, 1))])


TALK = {"conversation": "talk", "turn": "turn"}
CASES: dict[str, tuple[str, Callable[[], Any], dict[str, Any], Any]] = {
    "texts": ("classify", table, {}, "rain and sun"),
    "series": ("classify", beats, {}, np.ones((3, 2))),
    "talks": ("classify", talks, TALK, "rain and sun"),
    "tags": ("tag", tagged, {"label": "label"}, "play the song"),
    "forecast": ("forecast", load_curve, {"horizon": 6, "windows_per_epoch": 64}, np.ones((120, 1))),
    "vectors": ("encode", table, {"label": None}, "rain and sun"),
    "vectors of labels": ("encode", table, {"label": "label"}, "rain and sun"),
}


def train(path: Path, case: str, **options: Any) -> Model:
    task, source, more, _ = CASES[case]
    return fit(task, source(), out=str(path), **{**QUICK, **more, **options})


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_preset_fits_and_streams_and_each_is_larger(tmp_path: Path, case: str) -> None:
    sizes, states = [], []
    for preset in PRESETS:
        path = tmp_path / f"{preset}.safetensors"
        model = train(path, case, preset=preset)
        recorded = model.document["task"]["options"]
        assert recorded["preset"] == preset
        assert None not in [recorded[name] for name in ("hidden", "depth", "drop_pool", "rate")]
        if preset == "tiny":  # the bounds of wide models take half a minute each
            assert all(one.ok for one in verify(str(path)) if one.ran)
        predictor, one = load(path), CASES[case][3]
        stream = predictor.stream()
        assert stream.push(one, end=case != "forecast") is not None
        sizes.append(path.stat().st_size)
        states.append(stream.state.block.nbytes)
    larger = PRESETS if case != "forecast" else PRESETS[:2]  # no larger forecaster was better, so base is small
    assert sizes[: len(larger)] == sorted(set(sizes[: len(larger)])), sizes
    assert states[: len(larger)] == sorted(set(states[: len(larger)])), states
    assert (states[2] == states[1]) == (case == "forecast")


def test_tiny_is_tiny(tmp_path: Path) -> None:
    """Tens of kilobytes, of which the words take most, and a state of a few hundred bytes."""
    model = train(tmp_path / "m", "texts", preset="tiny")
    assert (tmp_path / "m").stat().st_size < 40_000
    assert model.state_bytes < 512
    assert "ngrams" not in model.document["inputs"]["x"]
    many = [f"word{i}" for i in range(3000)]
    rows = [" ".join(many[50 * i : 50 * i + 50]) for i in range(ROWS)]
    source = Table("t.csv", {"text": rows, "label": LABELS}, list(range(2, ROWS + 2)), "0" * 64)
    largest = fit("classify", source, out=str(tmp_path / "l"), preset="tiny", **QUICK)
    assert largest.document["inputs"]["x"]["size"] == 1000
    assert (tmp_path / "l").stat().st_size < 100_000


def test_small_has_the_bits_of_no_preset_and_a_typed_option_wins(tmp_path: Path) -> None:
    plain, small = train(tmp_path / "a", "series"), train(tmp_path / "b", "series", preset="small")
    assert plain.weights_hash == small.weights_hash
    typed = train(tmp_path / "c", "series", preset="tiny", hidden=20, depth=2)
    options = typed.document["task"]["options"]
    assert (options["hidden"], options["depth"], options["pool"]) == (20, 2, "max,attention")


def test_an_estimator_has_the_model_of_the_command(tmp_path: Path) -> None:
    source = beats()
    made = Classifier(preset="tiny", **QUICK).fit(np.stack([one.values for one in source.series]), LABELS)
    assert made.model_.weights_hash == train(tmp_path / "m", "series", preset="tiny").weights_hash


def test_a_model_that_starts_from_another_has_its_preset_and_no_other(tmp_path: Path) -> None:
    first = str(tmp_path / "first")
    train(tmp_path / "first", "texts", preset="tiny")
    model = train(tmp_path / "second", "texts", from_model=first)
    options = model.document["task"]["options"]
    assert (options["preset"], options["hidden"], options["rate"]) == ("tiny", 32, 0.006)
    with pytest.raises(OptionError, match=r"was fitted with preset='tiny', and preset= is base; leave it out"):
        train(tmp_path / "third", "texts", from_model=first, preset="base")
    assert not (tmp_path / "third").exists()


@pytest.mark.skipif(find_compiler() is None, reason="no C compiler here")
def test_the_c_of_a_tiny_classifier_of_texts_is_small(tmp_path: Path) -> None:
    model, command = train(tmp_path / "m", "texts", preset="tiny"), find_compiler()
    assert command is not None
    export(model, "c", tmp_path / "intent.c")
    done = subprocess.run([*command, "-std=c99", "-Os", "-c", "intent.c", "-o", "intent.o"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    weights = sum(4 * one.size for layer in model.layers for one in layer.select(model.tensors).values())
    assert weights < 25_000
    assert weights < (tmp_path / "intent.o").stat().st_size < weights + 20_000
