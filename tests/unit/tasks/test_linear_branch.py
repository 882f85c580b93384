"""The linear branch of a forecaster: a ridge regression in the model's own window, which joins its graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import tidegate
from tidegate.data.series import from_arrays
from tidegate.tasks import forecast
from tidegate.tasks._baseline_models import Ridge
from tidegate.tasks._baselines import RIDGE
from tidegate.tasks._linear_branch import LinearBranch, choose_share, choose_width
from tidegate.tasks._options import make_options
from tidegate.tasks._windows import OUTPUT, Windows
from tidegate.train.job import TrainingJob
from tidegate.train.loop import Run
from tidegate.verify.targets import verify

RANDOM = np.random.default_rng(5)
T = np.arange(240)
WAVES = 9 + np.sin(T / 4) + 2 * np.cos(T / 7)  # which a linear map of the past continues without an error
WALK = RANDOM.standard_normal(240).cumsum()
QUICK: dict[str, Any] = {"horizon": 3, "hidden": 4, "epochs": 1, "refit_epochs": 0, "lookback": 12, "season": 0}
HOLES = np.where(T % 37 == 5, np.nan, WALK)
VARIANTS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "one series": ([WALK], {}),
    "its own spread, a season and a mean": ([WALK, WAVES], {"spread": "window", "season": 7, "centre": "mean"}),
    "segments": ([WALK], {"segment": 4, "quantiles": "0.2,0.5,0.6,0.9"}),
    "columns together": ([np.stack([WALK, WAVES, WALK * T], 1)], {"channels": "together", "segment": 3}),
    "other columns": ([np.stack([WALK, WAVES, T % 7], 1)], {"targets": "c", "known": "a", "segment": 3}),
    "missing": ([HOLES], {"missing": "mask", "segment": 2}),
    "short ones": ([WALK, WALK[:9], WAVES[:14]], {"segment": 4, "spread": "window"}),
    "step by step": ([WALK], {"head": "autoregressive"}),
    "fixed": ([WALK], {"scale": "fixed"}),
    "fixed, with a season": ([WALK], {"scale": "fixed", "season": 7, "head": "autoregressive"}),
    "fixed, together": ([np.stack([WALK, WAVES, T % 7], 1)], {"scale": "fixed", "targets": "a,b", "known": "c"}),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_job(series: list[Any], **values: Any) -> TrainingJob:
    options = make_options(forecast.Options, {**QUICK, **values})
    x = [one.reshape(len(one), -1) for one in series]
    source = from_arrays(x, columns=list("abc")[: x[0].shape[1]], ids=[f"s{i}" for i in range(len(x))])
    return TrainingJob(forecast, options, forecast.read(source, options), None, 1)


def fit_model(series: list[Any], **values: Any) -> tidegate.Model:
    made = make_job(series, **values)
    run = made.run(None)
    for _ in run.run():
        pass
    return made.model(run)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_joined_graph_gives_the_moved_quantiles(name: str) -> None:
    series, values = VARIANTS[name]
    made = make_job(series, **values)
    run, problem = made.run(None), made.problem
    branch = run.fit_branch()
    assert isinstance(branch, LinearBranch)
    predictions = run.predict(run.valid_rows, branch=branch)
    calibration = {OUTPUT: {"branch": 0.3, "width": 0.5}}
    expected = problem.apply_calibration(predictions, calibration).outputs[OUTPUT]
    joined, tensors = problem.join_branch(branch, calibration, run.tensors())
    model = made.draft(tensors, calibration, problem.provenance, joined)
    network = tidegate.nn.make_network(model)
    network.load_tensors({name: model.tensors[name] for layer in joined.layers for name in layer.tensors.values()})
    found = Run(network, joined).predict(run.valid_rows).outputs[OUTPUT]
    size = np.abs(expected).max()
    assert np.abs(expected - predictions.outputs[OUTPUT]).max() > size / 20
    if problem.inputs["x"]["window"]:
        assert np.abs(found - expected).max() < size * 1e-4
    else:  # rows of training begin somewhere in the series, where the network begins with zeros
        reach = branch.inputs.reach
        assert np.abs(found - expected)[reach:].max() < size * 1e-4


@pytest.mark.parametrize("name", ["one series", "its own spread, a season and a mean", "step by step"])
def test_the_branch_is_the_baseline(name: str) -> None:
    series, values = VARIANTS[name]
    made = make_job(series, **values)
    rows, problem = made.problem.rows, made.problem
    branch = problem.fit_branch(problem.train_rows)
    assert isinstance(rows, Windows)
    assert isinstance(branch, LinearBranch)
    cuts = [
        int(
            (rows.behind + problem.provenance["steps_ahead"])[problem.train_rows][
                rows.series[problem.train_rows] == i
            ].max()
        )
        for i in range(len(series))
    ]
    options, spread = problem.options, problem.options.spread
    ridge = Ridge.fit(
        [x[:cut, None] for x, cut in zip(series, cuts, strict=True)],
        options.lookback,
        problem.provenance["steps_ahead"],
        options.season,
        options.centre,
        spread,
    )
    batch = rows.batch(problem.valid_rows)
    moved = branch.predict(batch, problem.valid_rows)[OUTPUT].reshape(len(problem.valid_rows), -1, 3)
    y, unit, _ = batch.targets[OUTPUT][..., 0].swapaxes(0, 1)
    for i, x in enumerate(series):
        own = rows.series[problem.valid_rows] == i
        ends = (rows.behind - 1)[problem.valid_rows][own]
        truth = x[ends[:, None] + np.arange(1, y.shape[1] + 1)]
        expected = ridge.predict(x[:, None], ends)[..., 0]
        assert np.allclose((moved[own, :, 1] - y[own]) * unit[own], expected - truth, atol=1e-3)
        assert (moved[own, :, 0] == moved[own, :, 2]).all()


def test_with_the_held_out_end_it_is_the_baseline_that_the_file_stores() -> None:
    made = make_job([WALK], refit_epochs=1)
    problem, arrays = made.problem, made.problem.arrays
    branch = problem.fit_branch(np.arange(len(problem.rows.lengths)))
    assert isinstance(branch, LinearBranch)
    (own,) = branch.maps
    assert np.allclose(own.weights, arrays["baseline.ridge.weights"][0], atol=1e-6)
    first = problem.fit_branch(problem.train_rows)
    assert isinstance(first, LinearBranch)
    assert not np.allclose(own.weights, first.maps[0].weights, atol=1e-4)


def test_held_out_rows_do_not_reach_the_branch_that_is_judged() -> None:
    made, other = (make_job([x]) for x in (WALK, np.where(T < 204, WALK, 50 - WALK)))
    assert (made.problem.train_rows == other.problem.train_rows).all()
    first, second = (each.problem.fit_branch(each.problem.train_rows) for each in (made, other))
    assert isinstance(first, LinearBranch)
    assert isinstance(second, LinearBranch)
    x = np.ones((1, 12))
    assert int(made.problem.rows.ends[made.problem.train_rows].max()) + 3 < 204  # type: ignore[attr-defined]
    unit = made.problem.arrays["input.deviation"] / other.problem.arrays["input.deviation"]
    assert unit == pytest.approx(1.0)
    assert (first.maps[0](x) == second.maps[0](x)).all()


@pytest.mark.parametrize("values", [{}, {"scale": "fixed"}, {"segment": 4, "refit_epochs": 1}], ids=str)
def test_where_ridge_is_exact_it_is_the_model(values: dict[str, Any]) -> None:
    model = fit_model([WAVES], quantiles="0.5", lookback=24, **values)
    provenance = model.document["provenance"]
    assert provenance["calibration"]["branch"] == 1.0
    assert provenance["metrics"]["held_out"]["mae"] < 1e-3
    assert provenance["linear_model"]["mae"] < 1e-3
    assert provenance["baselines"][RIDGE] < 1e-3
    predictor = tidegate.Predictor(model)
    origins = np.arange(100, 230)
    series = "s0" if values.get("scale") else None
    found = predictor.forecasts(WAVES[:, None], origins, series=series)
    assert np.abs(found[:, :, 0, 0] - WAVES[origins[:, None] + [1, 2, 3]]).max() < 1e-3
    stream = predictor.stream(series)
    for t in range(230):
        answer = stream.push(WAVES[t])
        if t >= 100:
            assert (answer.values == found[t - 100]).all()
    assert all(one.ok is not False for one in verify(model))


def test_without_a_share_the_file_is_as_without_a_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.tasks._quantiles.choose_share", lambda *_: 0.0)
    model = fit_model([WALK])
    assert [layer.kind for layer in model.layers] == ["recurrent", "pool", "dense"]
    monkeypatch.setattr("tidegate.tasks._quantiles.Quantiles.fit_branch", lambda *_: None)
    other = fit_model([WALK])
    assert {name: a.tobytes() for name, a in model.tensors.items()} == {
        name: a.tobytes() for name, a in other.tensors.items()
    }
    own = {"provenance", "check"}
    assert {k: v for k, v in model.document.items() if k not in own} == {
        k: v for k, v in other.document.items() if k not in own
    }
    assert model.document["provenance"]["calibration"] == {}


def test_the_share_has_the_lowest_error_and_is_the_least_on_a_tie() -> None:
    outputs = np.tile([-1.0, 0.0, 1.0], (2, 1, 1, 1))
    branch, y = np.full((2, 1, 1, 3), 10.0), np.array([2.0, 3.0]).reshape(2, 1, 1)
    known, weight = np.ones(y.shape, bool), np.ones(y.shape)
    assert choose_share(outputs, branch, y, weight, known, 1) == 0.2
    assert choose_share(outputs, branch, y, weight * [[[1.0]], [[3.0]]], known, 1) == 0.3
    assert choose_share(outputs, branch, y, weight, known & (y > 2), 1) == 0.3
    assert choose_share(outputs, branch, -y, weight, known, 1) == 0.0
    assert choose_share(outputs, branch, 9 * y, weight, known, 1) == 1.0


def test_the_width_changes_only_where_held_out_rows_clearly_say_so() -> None:
    random, levels = np.random.default_rng(1), (0.1, 0.5, 0.9)
    y, known = random.standard_normal((400, 2, 1)), np.ones((400, 2, 1), bool)
    right = np.array([-1.28, 0.0, 1.28]) + np.zeros((400, 2, 1, 3))
    assert choose_width(right, y, known, levels, 2) == 1.0
    assert choose_width(1.1 * right, y, known, levels, 2) == 1.0
    assert choose_width(5 * right, y, known, levels, 2) == 0.2
    assert choose_width(right / 2, y, known, levels, 2) == 2.0
    assert choose_width(2 * right, y, known, levels, 400) == 1.0  # one forecast's worth of steps says nothing clearly


def test_too_few_steps_and_too_many_targets_have_no_branch() -> None:
    made = make_job([WALK[:40]], lookback=2, horizon=5, hold_out=0.3)
    rows = made.problem.train_rows
    assert made.problem.fit_branch(rows) is not None
    assert made.problem.fit_branch(rows[:1]) is None
    wide = make_job([np.tile(WALK[:, None], (1, 3))], channels="together")
    assert wide.problem.fit_branch(wide.problem.train_rows) is not None
