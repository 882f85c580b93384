"""A detector is fitted, streams, scores, predicts and verifies; and what it cannot use is said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.cli import main
from tidegate.data.series import from_arrays
from tidegate.errors import DataError, OptionError
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.runtime import Predictor
from tidegate.tape import NumpyOps
from tidegate.tasks import _detection, detect
from tidegate.tasks._alarm_metrics import find_runs, measure_alarms
from tidegate.tasks._alarm_score import average, compare_recent
from tidegate.tasks._alarm_threshold import choose_threshold
from tidegate.tasks._detect_scores import judge_alarms
from tidegate.tasks._detection import fold_quantiles
from tidegate.train import fit

COLUMNS = ["heat", "flow"]
EVENT = slice(500, 530)


def draw(steps: int, seed: int, bump: float = 0.0) -> Any:
    """Return a drifting number and one that follows it with a season, [steps, 2]; `bump` is added in the event."""
    random, heat = np.random.default_rng(seed), np.zeros(steps)
    for t in range(1, steps):
        heat[t] = 0.9 * heat[t - 1] + 0.3 * random.standard_normal()
    flow = 0.5 * heat + np.sin(np.arange(steps) / 12) + 0.1 * random.standard_normal(steps)
    flow[EVENT] += bump
    return np.stack([20 + heat, flow], 1)


def collect(*values: Any, ids: list[str] | None = None, columns: list[str] = COLUMNS) -> Any:
    return from_arrays(list(values), columns=columns, ids=ids)


def write(path: Path, values: Any, label: Any = None) -> str:
    """Write a file of steps, ten minutes apart."""
    times = np.datetime64("2024-01-01T00:00") + np.arange(len(values)) * np.timedelta64(10, "m")
    lines = [f"t,heat,flow{',anomaly' if label is not None else ''}"]
    for k, (time, (heat, flow)) in enumerate(zip(times, values, strict=True)):
        lines.append(f"{time},{heat:.5f},{flow:.5f}{f',{label[k]}' if label is not None else ''}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    out = str(tmp_path_factory.mktemp("detect") / "d.safetensors")
    return fit("detect", collect(draw(3000, 0)), out=out, epochs=6, hidden=8)


@pytest.fixture(scope="module")
def tested() -> tuple[Any, Any]:
    truth = np.zeros(800, bool)
    truth[EVENT] = True
    return draw(800, 5, bump=4.0), truth


def test_an_event_is_found_and_named(model: Model, tested: tuple[Any, Any]) -> None:
    predictor = Predictor(model, threads=1)
    values, truth = tested
    figures = measure_alarms(judge_alarms(predictor, collect(values), [truth]))
    assert figures["events"]["recall"] == 1.0
    assert figures["auroc"] > 0.95
    (answer,) = predictor.answers([values])
    event = max(answer.events, key=lambda one: one.severity)
    assert event.channels == ["flow"]
    assert EVENT.start <= event.start <= EVENT.start + 3
    assert event.start <= event.peak <= event.end
    assert event.severity > 1


def test_streams_and_whole_series_have_the_same_scores_alarms_and_events(model: Model, tested: tuple[Any, Any]) -> None:
    predictor = Predictor(model, threads=1)
    values, _ = tested
    (whole,) = predictor.answers([values])
    stream, pool = predictor.stream(), predictor.pool()
    for t, row in enumerate(values[:560]):
        answer = stream.push(row)
        assert pool.push_one("a", row).as_dict() == answer.as_dict()
        if np.isnan(whole.scores[t]):
            assert answer.as_dict() == {"score": None, "alarm": None, "reason": f"warming up {t + 1} of 33"}
            continue
        assert answer.score == pytest.approx(whole.scores[t], rel=1e-6)
        assert answer.alarm == whole.alarms[t]
        if t == EVENT.stop - 1:
            state = stream.state
    again = predictor.stream()
    again.restore(state)
    for row in values[EVENT.stop : 560]:
        last = again.push(row)
    assert last.as_dict() == answer.as_dict()
    assert set(answer.as_dict()) - {"level"} == {"score", "alarm", "event", "parts"}
    assert sum(answer.as_dict()["parts"].values()) / 2 == pytest.approx(answer.score, rel=1e-5)


def test_scores_of_held_out_steps_are_those_of_the_layers() -> None:
    """The threshold is chosen before the graph has its score: both are one equation."""
    x = 3 * np.random.default_rng(0).standard_normal((400, 2)) ** 3
    builder = Builder(2)
    builder.add("recent_scale", share=1 / 50, trusted=5.0, most=10.0, wait=0)
    builder.add("mean_square", share=0.1, wait=0)
    steps: Any = list(x[:, None])
    for layer in builder.layers:
        steps = layer.whole(NumpyOps(), {}, steps)
    scores = average((compare_recent(x, 1 / 50, 5.0, 10.0) ** 2).mean(1), 0.1)
    assert np.concatenate(steps)[:, 0] == pytest.approx(scores)


def test_the_last_layer_of_the_finished_model_has_value_median_spread_and_flags() -> None:
    random = np.random.default_rng(0)
    weight, x = random.standard_normal((6, 3 + 4)), random.standard_normal(7)
    quantiles = (weight @ x).reshape(2, 3)
    found = fold_quantiles(weight, 2, 4, 4) @ x
    expected = [x[3:5], quantiles[:, 1], (quantiles[:, 2] - quantiles[:, 0]) / 2, x[5:7]]
    assert found == pytest.approx(np.concatenate(expected))


def test_commands_score_predict_and_verify(
    model: Model, tested: tuple[Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, normal = str(tmp_path / "d.safetensors"), write(tmp_path / "normal.csv", draw(3000, 0))
    assert main(["fit", "detect", normal, "--time", "t", "--out", file, "--epochs", "6", "--hidden", "8"]) == 0
    assert "for 1 alarm in 1,000 steps when all is normal" in capsys.readouterr().out
    values, truth = tested
    test = write(tmp_path / "test.csv", values, truth.astype(int))
    assert main(["score", file, test, "--label", "anomaly", "--normal", normal, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"f1", "f1_point_adjusted", "auroc", "events", "false_alarms_per_day", "baselines"} <= set(figures)
    assert list(figures["baselines"]) == ["moving z-score", "autoregression", "T2 of levels", "isolation forest"]
    assert all(0 <= one["f1"] <= 1 for one in figures["baselines"].values())
    assert "flatters" in figures["note"]
    assert main(["score", file, test]) == 0
    assert "alarms a day" in capsys.readouterr().out
    assert main(["predict", file, test, "--out", str(tmp_path / "events.csv")]) == 0
    head, *rows = (tmp_path / "events.csv").read_text("utf-8").splitlines()
    assert head == "series,event,start,end,peak,severity,channels"
    assert any("flow" in row for row in rows)
    assert main(["verify", file]) == 0
    assert main(["info", file]) == 0
    assert "an alarm from" in capsys.readouterr().out


def test_missing_numbers_count_nothing(tmp_path: Path) -> None:
    values = draw(2400, 1)
    values[np.random.default_rng(2).random(values.shape) < 0.05] = np.nan
    model = fit("detect", collect(values), out=str(tmp_path / "m"), missing="mask", epochs=2, hidden=4)
    predictor = Predictor(model, threads=1)
    tested = draw(400, 3)
    tested[200:203] = np.nan
    (answer,) = predictor.answers([tested])
    assert np.isfinite(answer.scores[40:]).all()
    assert np.diff(answer.scores[199:203]).max() < 0, "nothing adds to the mean"


def test_a_column_that_never_changes_is_said_and_alarms_when_it_moves(tmp_path: Path) -> None:
    said: list[str] = []
    values = np.column_stack([draw(2000, 1)[:, 0], np.full(2000, 7.0)])
    model = fit("detect", collect(values), out=str(tmp_path / "m"), epochs=2, hidden=4, say=said.append)
    assert any("column 'flow' never changes in training, so any change there will look unusual" in one for one in said)
    tested = np.column_stack([draw(300, 3)[:, 0], np.full(300, 7.0)])
    tested[200:210, 1] = 9.0
    (answer,) = Predictor(model, threads=1).answers([tested])
    assert answer.alarms[200:210].any()
    assert answer.events[-1].channels[0] == "flow"


def test_alarms_a_day_are_those_of_the_clock(tmp_path: Path) -> None:
    normal = write(tmp_path / "normal.csv", draw(1600, 0))
    rates = {}
    for flag in ({"alarms_per_day": 0.288}, {"alarms_per_1000": 2.0}):
        options = detect.Options(time="t", **flag)  # type: ignore[arg-type]
        rates[next(iter(flag))] = detect.prepare(detect.read(normal, options), None, options).rate
    assert rates["alarms_per_day"] == pytest.approx(rates["alarms_per_1000"])


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        (
            {},
            DataError,
            "a threshold for 1 alarm in 1,000 steps needs 200 normal steps that are held out, and there are",
        ),
        ({"alarms_per_day": 1.0}, OptionError, "alarms_per_day is given, and there are no times to count days by"),
        ({"alarms_per_1000": 0.01}, DataError, "needs 10,000 normal steps that are held out"),
    ],
)
def test_a_threshold_that_nothing_tells_is_refused_before_training(
    options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    source = collect(draw(400, 0))
    with pytest.raises(error, match=sentence):
        detect.prepare(source, None, detect.Options(**options))


def test_labels_are_no_input(tmp_path: Path) -> None:
    label = (np.arange(800) % 50 == 0).astype(int)
    file = write(tmp_path / "labelled.csv", draw(800, 0), label)
    with pytest.raises(DataError, match="column 'anomaly' has only 0 and 1, so it looks like labels"):
        detect.read(file, detect.Options(time="t"))
    assert detect.read(file, detect.Options(time="t", values="heat,flow")).columns == COLUMNS
    with pytest.raises(OptionError, match="label is 'anomaly', and so far a detector learns what is normal"):
        detect.Options(label="anomaly")
    with pytest.raises(OptionError, match="alarms_per_day and alarms_per_1000 are both given"):
        detect.Options(alarms_per_day=1.0, alarms_per_1000=1.0)


def test_files_that_do_not_fit_are_one_sentence(model: Model, tmp_path: Path) -> None:
    options, _ = detect.restore(model)
    file = write(tmp_path / "wrong.csv", draw(60, 0), [0] * 30 + [2] * 30)
    with pytest.raises(DataError, match=r"wrong\.csv:32: column 'anomaly' has 2; expected 1 for an anomaly, else 0"):
        detect.read_labelled(file, options, COLUMNS, "anomaly")
    with pytest.raises(OptionError, match="label is 'flow', which the model reads as a value"):
        detect.read_labelled(file, options, COLUMNS, "flow")
    with pytest.raises(DataError, match=r"wrong\.csv: no column 'speed'"):
        detect.read(file, options, ["heat", "speed"])


def test_series_are_compared_with_their_own_training(tmp_path: Path) -> None:
    source = collect(draw(1200, 0), 5 + 3 * draw(1200, 1), ids=["a", "b"])
    model = fit("detect", source, out=str(tmp_path / "m"), epochs=2, hidden=4)
    predictor = Predictor(model, threads=1)
    (one, other) = predictor.answers([draw(300, 7), 5 + 3 * draw(300, 7)], series=["a", "b"])
    assert one.alarms.mean() < 0.1
    assert other.alarms.mean() < 0.1
    with pytest.raises(DataError, match="the series 'c' was not in training, and a detector compares each series"):
        judge_alarms(predictor, collect(draw(300, 7), ids=["c"]), [np.zeros(300, bool)])


def test_a_file_of_its_own_can_choose_the_threshold(tmp_path: Path) -> None:
    model = fit(
        "detect", collect(draw(800, 0)), valid=collect(draw(400, 9)), out=str(tmp_path / "m"), epochs=2, hidden=4
    )
    assert model.document["provenance"]["threshold"]["steps"] == 399


def count_alarms(values: Any, out: Path) -> int:
    """Fit a detector to a series, and return how many alarms it raises on the training part."""
    made = fit("detect", collect(values), out=str(out), epochs=4, hidden=8)
    (found,) = judge_alarms(Predictor(made), collect(values), [np.zeros(len(values), bool)])
    return len(find_runs(found.alarms[: len(values) * 3 // 4]))


def test_a_quiet_held_out_end_does_not_make_the_threshold_low(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = draw(3000, 7)
    values[:2250, 1] += 0.1 * np.random.default_rng(8).standard_t(1.5, 2250)  # not in the held-out quarter
    assert count_alarms(values, tmp_path / "a") <= 7  # where 2.25 are expected
    monkeypatch.setattr(_detection, "choose_larger", lambda held_out, trained, rate: choose_threshold(held_out, rate))
    assert count_alarms(values, tmp_path / "b") > 20
