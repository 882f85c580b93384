"""The forecaster: the same model and forecasts as by `tidegate fit`, in the type of y."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

import tidegate
from tidegate.errors import DataError, WrongData, WrongValue
from tidegate.estimators import Forecaster
from tidegate.estimators.parameters import COLUMN_OPTIONS
from tidegate.tasks.forecast import Options

QUICK: dict[str, Any] = {"hidden": 8, "epochs": 3, "season": 0, "lookback": 12}
T = 90
WAVE = np.sin(np.arange(T + 20) / 3) + np.arange(T + 20) / 50
FLAG = (np.arange(T + 20) % 5 == 0).astype(float)


def written(path: Path, **columns: Any) -> str:
    """Write a CSV file of columns of numbers and return its path."""
    rows = zip(*[map(repr, np.asarray(v).tolist()) for v in columns.values()], strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(row) for row in rows)]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(**QUICK).fit(WAVE[:T], fh=[1, 2, 3])


# ---- parameters


def test_every_option_is_a_parameter_or_names_a_column() -> None:
    params = set(Forecaster().get_params())
    assert params == {f.name for f in fields(Options)} - COLUMN_OPTIONS | {"threads", "verbose"}
    assert clone(Forecaster(head="autoregressive")).get_params()["head"] == "autoregressive"


def test_the_horizon_is_the_largest_step_asked_for(fitted: Forecaster) -> None:
    assert fitted.options_.horizon == 3
    assert fitted.horizon is None
    assert Forecaster(**QUICK, horizon=4).fit(WAVE[:T]).predict().shape == (4,)
    assert Forecaster(**QUICK, horizon=4).fit(WAVE[:T], fh=2).predict().shape == (1,)


@pytest.mark.parametrize(
    ("params", "fh", "message"),
    [
        ({}, None, "neither fh nor horizon="),
        ({}, [0, 1], "from 1"),
        ({}, [], "fh is empty"),
        ({}, [2, 1], "increasing order"),
        ({}, [1.5], "expected numbers of steps ahead"),
        ({"horizon": 2}, 3, "fh goes up to step 3, beyond horizon=2"),
        ({"calendar": "hour"}, 1, "calendar='hour' needs times"),
        ({"hidden": 0}, 1, "hidden is 0"),
        ({"quantiles": "0.1"}, 1, "quantiles is '0.1'"),
    ],
)
def test_what_cannot_be_asked(params: dict[str, Any], fh: Any, message: str) -> None:
    with pytest.raises(WrongValue, match=message):
        Forecaster(**{**QUICK, **params}).fit(WAVE[:T], fh=fh)


# ---- the same as `tidegate fit` and a stream


def test_one_column_is_the_model_and_the_stream_of_fit(fitted: Forecaster, tmp_path: Path) -> None:
    file = written(tmp_path / "y.csv", value=WAVE[:T])
    model = tidegate.fit("forecast", file, out=str(tmp_path / "m.safetensors"), horizon=3, **QUICK)
    assert fitted.model_.weights_hash == model.weights_hash
    stream = tidegate.Predictor(model).stream()
    last = stream.push(WAVE[:T, None])
    assert fitted.predict().tobytes() == last.median[:, 0].tobytes()
    assert fitted.predict_quantiles().tobytes() == last.values[:, 0].tobytes()


@pytest.mark.parametrize("channels", [None, "together"])
@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_columns_beside_what_is_known(channels: str | None, head: str, tmp_path: Path) -> None:
    params = {**QUICK, "channels": channels, "head": head}
    y = np.stack([WAVE, WAVE[::-1] * 2], 1)
    made = Forecaster(**params).fit(y[:T], FLAG[:T, None], fh=[1, 2, 3])
    file = written(tmp_path / "y.csv", c1=y[:T, 0], c2=y[:T, 1], x1=FLAG[:T])
    model = tidegate.fit(
        "forecast", file, out=str(tmp_path / "m.safetensors"), horizon=3, targets="c1,c2", known="x1", **params
    )
    assert made.model_.weights_hash == model.weights_hash
    assert made.options_.channels == (channels or "apart")
    found = made.predict(X=FLAG[T:, None])
    assert found.shape == (3, 2)
    assert found.tobytes() == made.predict(X=FLAG[T : T + 3, None]).tobytes()
    assert (made.predict(X=1 - FLAG[T:, None]) != found).any()
    if head == "direct":
        values = np.stack([y[:T, 0], y[:T, 1], FLAG[3 : T + 3]], 1)
        parts = [values] if channels else [values[:, [0, 2]], values[:, [1, 2]]]
        asked = np.concatenate([made.predictor_.forecasts(part)[0] for part in parts], 1)
        assert found.tobytes() == asked[..., 1].tobytes()


def test_fixed_scaling_names_the_series() -> None:
    made = Forecaster(**{**QUICK, "lookback": None}, scale="fixed").fit([WAVE[:T], WAVE[:T] * 100], fh=2)
    small, large = made.predict()
    assert made.model_.document["inputs"]["x"]["scale"]["names"] == ["1", "2"]
    assert abs(large.mean() / small.mean() - 100) < 30
    apart = Forecaster(**{**QUICK, "lookback": None}, scale="fixed").fit([WAVE[:T, None].repeat(2, 1)] * 2, fh=2)
    assert apart.model_.document["inputs"]["x"]["scale"]["names"] == ["1/c1", "1/c2", "2/c1", "2/c2"]
    assert [one.shape for one in apart.predict()] == [(1, 2), (1, 2)]


# ---- update


def test_update_goes_on_as_a_stream(fitted: Forecaster) -> None:
    going = pickle.loads(pickle.dumps(fitted))
    whole = fitted.predictor_.forecasts(WAVE[: T + 5, None])[0, :, 0, 1]
    going.update(WAVE[T : T + 2]).update(WAVE[T + 2 : T + 5])
    assert going.predict().tobytes() == whole.tobytes()
    assert (going.cutoff, fitted.cutoff) == (T + 4, T - 1)
    assert fitted.predict().tobytes() != whole.tobytes()
    with pytest.raises(WrongValue, match="update does not train"):
        going.update(WAVE[:3], update_params=True)
    with pytest.raises(WrongData, match="1 column; expected array, 1 column|2 columns"):
        going.update(np.zeros((3, 2)))


def test_update_with_what_is_known() -> None:
    made = Forecaster(**QUICK).fit(WAVE[:T], FLAG[:T], fh=2)
    with pytest.raises(WrongData, match="X was given to fit"):
        made.update(WAVE[T : T + 3])
    with pytest.raises(WrongData, match=r"reads X \(x1\) for 2 steps ahead"):
        made.predict()
    with pytest.raises(WrongData, match="X has 1 rows, but the model reads X for 2 steps ahead"):
        made.predict(X=FLAG[:1])
    made.update(WAVE[T : T + 3], FLAG[T : T + 3])
    values = np.stack([WAVE[: T + 3], FLAG[2 : T + 5]], 1)
    assert made.predict(X=FLAG[T + 3 :])[0] == made.predictor_.forecasts(values)[0, 1, 0, 1]
    bare = Forecaster(**QUICK).fit(WAVE[:T], fh=2)
    with pytest.raises(WrongData, match="X was not given to fit"):
        bare.predict(X=FLAG)


def test_a_pickle_goes_on_in_another_process_without_torch(
    fitted: Forecaster, tmp_path: Path, without_torch: Callable[..., CompletedProcess[str]]
) -> None:
    file = tmp_path / "made.pickle"
    file.write_bytes(pickle.dumps(fitted))
    done = without_torch(f"import pickle\nprint(pickle.load(open({str(file)!r}, 'rb')).predict().tobytes().hex())")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == fitted.predict().tobytes().hex()


# ---- quantiles and intervals


def test_quantiles_between_the_models_and_beyond(fitted: Forecaster) -> None:
    low, middle, high = fitted.predict_quantiles([1, 3]).T
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert np.allclose(fitted.predict_quantiles([1, 3], alpha=0.3)[:, 0], (low + middle) / 2)
    assert fitted.predict_interval([1, 3]).tolist() == np.stack([low, high], 1)[:, None].tolist()
    assert fitted.predict_interval([1, 3], coverage=[0.8, 0.4]).shape == (2, 2, 2)
    with pytest.raises(WrongValue, match=r"quantile 0.05 is outside of the model's, 0.1 to 0.9"):
        fitted.predict_interval(coverage=0.9)
    with pytest.raises(WrongValue, match="between 0 and 1"):
        fitted.predict_quantiles(alpha=[0.5, 1.2])
    with pytest.raises(WrongValue, match="fitted for 3"):
        fitted.predict(4)
    alone = Forecaster(**QUICK, quantiles="0.5").fit(WAVE[:T], fh=1)
    with pytest.raises(WrongValue, match="both sides of the median"):
        alone.predict_interval()


# ---- arrays


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y is None"),
        (np.zeros((3, 2, 2)), r"shape \[3, 2, 2\]"),
        ([], "shape"),
        (["a", "b"], "expected integers or floating-point numbers"),
        ([WAVE[:T], WAVE[: T - 5, None].repeat(2, 1)], "2 columns; expected array, 1 column"),
        (np.append(WAVE, np.inf), "inf"),
        (WAVE[:10], "shorten"),
        (np.ones(T), "never changes"),
        (np.where(np.arange(T) == 4, np.nan, WAVE[:T]), "step 5"),
    ],
)
def test_what_cannot_be_learnt_from(y: Any, message: str) -> None:
    with pytest.raises(WrongData, match=message) as caught:
        Forecaster(**QUICK).fit(y, fh=2)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, DataError)


def test_a_list_of_series_is_one_model_of_all() -> None:
    made = Forecaster(**QUICK).fit([WAVE[:T], WAVE[: T - 20] * 3], fh=[1, 2])
    first, second = made.predict()
    assert first.shape == second.shape == (2,)
    assert made.cutoff == [T - 1, T - 21]
    with pytest.raises(WrongData, match="found 1 series; fit was given 2"):
        made.update([WAVE[:3]])
    with pytest.raises(WrongData, match="X has 1 series and y has 2"):
        Forecaster(**QUICK).fit([WAVE[:T], WAVE[:T]], FLAG[:T], fh=1)


def test_a_forecaster_is_scored_on_what_comes_right_after(fitted: Forecaster) -> None:
    came = WAVE[T : T + 3]
    assert fitted.score(came) == -np.abs(fitted.predict() - came).mean()
    assert fitted.score(np.append(came, [50.0] * 9)) == fitted.score(came)
    assert fitted.score(came[:2], fh=[1, 3]) == -abs(fitted.predict(1)[0] - came[0])
    with pytest.raises(WrongData, match="no value at any of the forecast steps"):
        fitted.score(came[:1], fh=3)
    folds = TimeSeriesSplit(2, test_size=3)
    found = cross_val_score(Forecaster(**QUICK, horizon=3), WAVE[:T], cv=folds, error_score="raise")
    first = Forecaster(**QUICK, horizon=3).fit(WAVE[: T - 6])
    assert found[0] == first.score(WAVE[T - 6 : T - 3])
