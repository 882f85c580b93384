"""Training a forecaster: what it learns, how it is evaluated, and that a resumed run is the same run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tidegate
from tidegate.data.series import from_arrays
from tidegate.errors import ModelFileError
from tidegate.tasks import forecast
from tidegate.tasks._options import make_options
from tidegate.train.job import TrainingJob

RANDOM = np.random.default_rng(4)
WAVE = 50 + 5 * np.sin(np.arange(400) * 2 * np.pi / 12) + RANDOM.standard_normal(400) / 4
QUICK: dict[str, Any] = {"horizon": 3, "hidden": 6, "epochs": 2, "refit_epochs": 1, "lookback": 8, "season": 0}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def job(source: Any, **values: Any) -> TrainingJob:
    options = make_options(forecast.Options, {**QUICK, **values})
    return TrainingJob(forecast, options, forecast.read(source, options), None, 1)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"scale": "fixed", "lookback": 150},
    {"head": "autoregressive"},
    {"cell": "lstm", "depth": 2, "spread": "window", "windows_per_epoch": 50},
    {"cell": "mingru", "scale": "fixed", "lookback": 150},
    {"cell": "rnn", "quantiles": "0.5"},
]


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_a_run_taken_up_anywhere_ends_with_the_same_bits(values: dict[str, Any]) -> None:
    source = from_arrays([WAVE[:150]])
    made = job(source, **values)
    whole = made.run(None)
    stop = sum(1 for _ in whole.run()) // 2
    half, again = made.run(None), job(source, **values).run(None)
    for _, _ in zip(range(stop), half.run(), strict=False):
        pass
    again.restore(*half.state())
    for _ in again.run():
        pass
    assert again.history == whole.history
    assert made.model(whole).weights_hash == made.model(again).weights_hash


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_what_training_answers_is_what_the_runtime_answers(values: dict[str, Any], tmp_path: Path) -> None:
    made = job(from_arrays([WAVE[:150]]), **values)
    run = made.run(None)
    for _ in run.run():
        pass
    predictions = run.predict(run.valid_rows, branch=run.fit_final_branch())
    predictions = made.problem.apply_calibration(predictions, run.calibration)
    outputs, targets = predictions.outputs["forecast"], predictions.targets["forecast"]
    predictor = tidegate.Predictor(made.model(run))
    horizon = made.problem.provenance["steps_ahead"]
    assert horizon == (1 if values.get("head") else 3)
    end = 150 - horizon - 1
    first = end + 1 - len(outputs)
    made_by = predictor.forecasts(WAVE[:150, None], np.arange(first, end + 1), paths=1)[:, :horizon]
    q = len(made.options.levels())
    unit, truth = targets[:, 1, :, :, None], targets[:, 0]
    ordered = np.sort(outputs.reshape(len(outputs), horizon, 1, q), -1)
    there = np.stack([WAVE[t + 1 : t + 1 + horizon] for t in range(first, end + 1)])[..., None]
    from_outputs = there[..., None] - (truth[..., None] - ordered) * unit
    assert np.allclose(made_by, from_outputs, atol=1e-3)


def test_a_season_is_learnt_and_the_intervals_hold_most() -> None:
    for scale in ("window", "fixed"):
        made = job(from_arrays([WAVE]), scale=scale, hidden=16, epochs=40, rate=0.01, refit_epochs=0, lookback=24)
        run = made.run(None)
        for _ in run.run():
            pass
        found, beside = run.kept_figures, made.problem.provenance["baselines"]
        assert found["mae"] < 0.5 * beside["last value"], scale
        assert found["coverage"] > 0.6, scale


def test_held_out_rows_teach_nothing_before_the_refit() -> None:
    later = WAVE[:150].copy()
    later[-20:] += 40
    one, other = (job(from_arrays([y]), refit_epochs=0).run(None) for y in (WAVE[:150], later))
    for run in (one, other):
        for _ in run.run():
            pass
    assert [h["loss"] for h in one.history] == [h["loss"] for h in other.history]
    assert one.history[-1]["pinball"] != other.history[-1]["pinball"]
    again = [job(from_arrays([y]), refit_epochs=1).run(None) for y in (WAVE[:150], later)]
    for run in again:
        for _ in run.run():
            pass
    assert again[0].history[-1]["loss"] != again[1].history[-1]["loss"]


def test_no_more_rows_an_epoch_than_windows() -> None:
    run = job(from_arrays([WAVE]), windows_per_epoch=40, batch=16).run(None)
    first = run.batches()
    assert sum(map(len, first)) == 40
    run.epoch = 1
    assert {int(r) for b in run.batches() for r in b} != {int(r) for b in first for r in b}
    run.epoch = 2
    assert run.refitting
    assert any(int(r) not in set(run.train_rows.tolist()) for b in run.batches() for r in b)


@pytest.mark.slow
def test_a_model_that_no_file_can_hold_is_refused_before_training() -> None:
    with pytest.raises(ModelFileError, match="these options make no model file: "):
        job(from_arrays([RANDOM.standard_normal(30_200)]), hidden=256, lookback=30_000, segment=1, hold_out=0.002).run(
            None
        )


def test_provenance_tells_what_was_learnt_and_beaten(tmp_path: Path) -> None:
    model = tidegate.fit("forecast", from_arrays([WAVE[:150]]), out=str(tmp_path / "m.safetensors"), **QUICK)
    found = model.document["provenance"]
    assert found["rows"] == {"trained": 127 - 7 - 3, "held_out": 23 - 3 + 1}
    assert list(found["baselines"]) == ["last value", "ridge on the same window"]
    wanted = {"pinball", "standard_error", "scaled_pinball", "mae", "mase", "coverage"}
    assert found["metrics"]["held_out"].keys() == wanted
    assert found["fitted_on"][0]["steps"] == 150
    options = model.document["task"]["options"]
    assert (options["season"], options["channels"], options["spread"]) == (0, "together", "training")
    assert options["hold_out"] == 0.15
