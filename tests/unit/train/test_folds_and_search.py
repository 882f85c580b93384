"""Folds and searches: resumed to the same end, the defaults first, what is typed held fixed, failures recorded."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import tasks
from tidegate.errors import DataError, MissingExtra, ModelFileError, OptionError, TidegateError
from tidegate.model import Model
from tidegate.train import Progress, fit
from tidegate.train import search as searching
from tidegate.train.choosing import list_fixed

WORDS = {"weather": ["rain", "sun", "storm"], "music": ["play", "song", "band"], "money": ["pay", "bank", "bill"]}
SMALL: dict[str, Any] = {
    **{"hidden": 8, "embed": 8, "epochs": 3, "batch": 8, "linear": "off", "subwords": 0},
    **{"threads": 1, "refit_epochs": 0},
}


@pytest.fixture
def table(tmp_path: Path) -> str:
    rng, rows = np.random.default_rng(0), ["text,label"]
    for _ in range(130):
        label = str(rng.choice(list(WORDS)))
        noisy = str(rng.choice(list(WORDS))) if rng.random() < 0.4 else label
        rows.append(" ".join(rng.choice(["the", "a", "please", "so", *WORDS[noisy]], 6)) + "," + label)
    path = tmp_path / "train.csv"
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def fit_to(table: str, out: Path, **values: Any) -> Model:
    return fit("classify", table, out=str(out), **{**SMALL, **values})


def interrupt_at(part: str, epoch: int = 2) -> Callable[[Progress], None]:
    def press(progress: Progress) -> None:
        if (progress.part, progress.epoch, progress.step) == (part, epoch, 1):
            signal.raise_signal(signal.SIGINT)

    return press


def provenance_of(model: Model) -> Any:
    return json.loads(json.dumps(model.document["provenance"]))


# ---- folds


def test_folds_are_measured_and_the_model_is_the_one_without_them(table: str, tmp_path: Path) -> None:
    said: list[str] = []
    model = fit_to(table, tmp_path / "m", folds=3, say=said.append)
    found = model.document["provenance"]["folds"]
    accuracies = found["figures"]["accuracy"]
    assert (found["count"], sum(found["held_out"]), found["metric"]) == (3, 130, "accuracy")
    assert found["mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert found["deviation"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    assert said[-3:] == [f"fold {k + 1} of 3: accuracy {value:.4f}" for k, value in enumerate(accuracies)]
    assert len(said) == len(set(said))
    assert model.weights_hash == fit_to(table, tmp_path / "plain").weights_hash
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "plain", "train.csv"]


def test_a_fold_is_what_training_on_its_files_gives(table: str, tmp_path: Path) -> None:
    task = tasks.load("classify")
    options = task.Options(**{k: v for k, v in SMALL.items() if k != "threads"})
    fold = task.split_folds(task.read(table, options), options, 3)[1]
    apart = fit("classify", fold.source, options, str(tmp_path / "apart"), valid=fold.valid, threads=1)
    model = fit_to(table, tmp_path / "m", folds=3)
    wanted = apart.document["provenance"]["metrics"]["held_out"]
    found = model.document["provenance"]["folds"]["figures"]
    assert {name: values[1] for name, values in found.items()} == wanted


def test_interrupted_folds_are_resumed_to_the_same_end(table: str, tmp_path: Path) -> None:
    whole = fit_to(table, tmp_path / "whole", folds=3)
    out, seen = tmp_path / "m", list[str]()
    with pytest.raises(KeyboardInterrupt):
        fit_to(table, out, folds=3, progress=interrupt_at("fold 3 of 3"))
    with pytest.raises(OptionError, match="trials: a run was not finished; continue with resume=True, or start"):
        fit_to(table, out, folds=3)
    with pytest.raises(OptionError, match="a run with folds= or search= was not finished; give them again"):
        fit_to(table, out, resume=True)
    with pytest.raises(OptionError, match="folds was 3 and is 4 now; a resumed run must be the same run"):
        fit_to(table, out, folds=4, resume=True)
    with pytest.raises(OptionError, match="options seed was 0 and is 1 now"):
        fit_to(table, out, folds=3, resume=True, seed=1)
    model = fit_to(table, out, folds=3, resume=True, progress=lambda p: seen.append(p.part))
    assert set(seen) == {"fold 3 of 3", ""}
    assert provenance_of(model) == provenance_of(whole)
    assert model.weights_hash == whole.weights_hash


def test_a_run_after_its_folds_is_resumed_without_them(table: str, tmp_path: Path) -> None:
    whole = fit_to(table, tmp_path / "whole", folds=2)
    out, seen = tmp_path / "m", list[str]()
    with pytest.raises(KeyboardInterrupt):
        fit_to(table, out, folds=2, progress=interrupt_at(""))
    assert (tmp_path / "m.checkpoint").exists()
    model = fit_to(table, out, folds=2, resume=True, progress=lambda p: seen.append(p.part))
    assert set(seen) == {""}
    assert model.file_bytes == whole.file_bytes


def test_a_checkpoint_without_trials_is_not_resumed_with_folds(table: str, tmp_path: Path) -> None:
    out = tmp_path / "m"
    with pytest.raises(KeyboardInterrupt):
        fit_to(table, out, progress=interrupt_at(""))
    with pytest.raises(OptionError, match="was begun without folds= and search=; leave them out, or start again"):
        fit_to(table, out, folds=2, resume=True)
    fit_to(table, out, folds=2, restart=True)
    assert not (tmp_path / "m.checkpoint").exists()


def test_a_restart_discards_trials(table: str, tmp_path: Path) -> None:
    out = tmp_path / "m"
    for begun in ({"folds": 2}, {}):
        with pytest.raises(KeyboardInterrupt):
            fit_to(table, out, folds=3, progress=interrupt_at("fold 2 of 3"), restart=bool(begun))
        assert (tmp_path / "m.trials").exists()
        fit_to(table, out, restart=True, **begun)
        assert not (tmp_path / "m.trials").exists()


def test_damaged_trials_and_other_files_are_refused(table: str, tmp_path: Path) -> None:
    out, trials = tmp_path / "m", tmp_path / "m.trials"
    trials.write_text("my notes")
    with pytest.raises(OptionError, match="already exists and is not a file of trials of tidegate fit"):
        fit_to(table, out, folds=3)
    trials.unlink()
    with pytest.raises(KeyboardInterrupt):
        fit_to(table, out, folds=3, progress=interrupt_at("fold 2 of 3"))
    text = trials.read_text()
    for broken in (text.replace('"accuracy": 0.', '"accuracy": 1.'), text[:-9], text.replace("trials", "trails", 1)):
        assert broken != text
        trials.write_text(broken)
        with pytest.raises((ModelFileError, OptionError), match=r"m.trials"):
            fit_to(table, out, folds=3, resume=True)


# ---- search


def test_an_interrupted_search_is_resumed_to_the_same_end(table: str, tmp_path: Path) -> None:
    said: list[str] = []
    whole = fit_to(table, tmp_path / "whole", search=6, folds=2, say=said.append, epochs=2)
    found = whole.document["provenance"]["search"]
    assert [one["trial"] for one in found["each"]] == list(range(1, 7))
    assert [line.split(":")[0] for line in said if line.startswith("trial")] == [f"trial {k} of 6" for k in range(1, 7)]
    out = tmp_path / "m"
    for part in ("trial 1 of 6, fold 2 of 2", "trial 4 of 6, fold 1 of 2"):
        resume = Path(f"{out}.trials").exists()
        with pytest.raises(KeyboardInterrupt):
            fit_to(table, out, search=6, folds=2, epochs=2, progress=interrupt_at(part), resume=resume)
    model = fit_to(table, out, search=6, folds=2, epochs=2, resume=True)
    assert model.file_bytes == whole.file_bytes


def test_the_defaults_come_first_and_the_best_is_the_model(table: str, tmp_path: Path) -> None:
    free = {"embed": 8, "epochs": 2, "batch": 8, "refit_epochs": 2, "hold_out": 0.8, "linear": "off"}
    model = fit("classify", table, out=str(tmp_path / "m"), search=4, threads=1, hidden=8, **free)
    provenance = model.document["provenance"]
    found, options = provenance["search"], model.document["task"]["options"]
    first = found["each"][0]["options"]
    assert set(first) == {"rate", "decay", "depth", "smoothing", "drop_words", "drop_embed", "drop_pool", "subwords"}
    assert (first["rate"], first["depth"], first["subwords"]) == (0.003, 1, 32)
    assert found["best"]["figure"] >= found["default"]
    assert provenance["metrics"]["held_out"]["accuracy"] == found["best"]["figure"]
    best = found["each"][found["best"]["trial"] - 1]
    assert {name: options[name] for name in best["options"]} == best["options"]
    assert options["hidden"] == 8
    plain = fit("classify", table, out=str(tmp_path / "plain"), threads=1, hidden=8, **free)
    assert plain.document["provenance"]["metrics"]["held_out"]["accuracy"] == found["default"]


def test_what_is_typed_is_held_fixed_and_nothing_left_is_refused(table: str, tmp_path: Path) -> None:
    typed = {"depth": 1, "smoothing": 0.1, "drop_words": 0.1, "drop_embed": 0.5, "drop_pool": 0.5, "decay": 0.01}
    found = fit_to(table, tmp_path / "m", search=2, folds=2, **typed).document["provenance"]["search"]
    assert list(found["searched"]) == ["rate"]
    with pytest.raises(OptionError, match="search= has no option left to choose"):
        fit_to(table, tmp_path / "n", search=2, folds=2, rate=0.003, **typed)


def test_equal_trials_are_trained_once(table: str, tmp_path: Path) -> None:
    typed = {"rate": 0.003, "smoothing": 0.1, "drop_words": 0.1, "drop_embed": 0.5, "drop_pool": 0.5, "decay": 0.01}
    seen: set[str] = set()
    model = fit_to(table, tmp_path / "m", search=5, folds=2, progress=lambda p: seen.add(p.part), **typed)
    each = model.document["provenance"]["search"]["each"]
    assert len({part.split(",")[0] for part in seen if part}) == len({one["options"]["depth"] for one in each})
    assert "has the options of trial" in each[-1]["reason"]


def test_a_trial_that_fails_is_recorded_and_not_the_end(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = searching.run_trial

    def fail(recipe: Any, trial: Any, *args: Any) -> None:
        if trial.number == 1:
            raise DataError("the numbers are not finite")
        run(recipe, trial, *args)

    monkeypatch.setattr(searching, "run_trial", fail)
    found = fit_to(table, tmp_path / "m", search=3, folds=2).document["provenance"]["search"]
    assert found["failed"] == 1
    assert (found["each"][1]["state"], found["each"][1]["figure"]) == ("failed", None)
    assert found["each"][1]["reason"] == "failed: the numbers are not finite"

    def fail_first(recipe: Any, trial: Any, *args: Any) -> None:
        raise DataError("not finite")

    monkeypatch.setattr(searching, "run_trial", fail_first)
    with pytest.raises(DataError, match="not finite"):
        fit_to(table, tmp_path / "n", search=3, folds=2)


def test_trials_below_the_median_are_stopped_early(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(recipe: Any, trial: Any, trials: Any, name: str, report: Any, signals: Any, after_epoch: Any) -> None:
        figures = {"accuracy": 0.5 if trial.number == 5 else 0.9, "log_loss": 0.3}
        for epoch in range(1, 7):
            after_epoch(epoch, 6, figures)
        trial.figures, trial.state = [figures], "finished"

    monkeypatch.setattr(searching, "run_trial", pretend)
    said: list[str] = []
    model = fit_to(table, tmp_path / "m", search=7, hold_out=0.8, say=said.append)
    found = model.document["provenance"]["search"]
    assert [one["state"] for one in found["each"]] == ["finished"] * 5 + ["pruned", "finished"]
    assert (found["pruned"], found["best"]["trial"], found["best"]["options"]) == (1, 1, {})
    assert found["each"][5]["reason"] == "stopped after epoch 3 of 6, at accuracy 0.5000"
    assert any(line.startswith("trial 6 of 7: stopped after epoch 3 of 6, at accuracy 0.5000, --") for line in said)


def test_too_few_held_out_rows_are_refused_before_the_first_trial(table: str, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with pytest.raises(DataError) as caught:
        fit_to(table, tmp_path / "m", search=4, progress=seen.append)
    assert str(caught.value) == (
        f"{table}: 13 held-out rows or forecasts are too few to choose between 4 trials, which take 100: the best one "
        "would be best by luck; measure on all rows with folds=, hold out more (hold_out=), or give a larger file with "
        "valid="
    )
    assert not seen
    with pytest.raises(DataError, match="130 held-out rows .* 24 trials, which take 159: .*; add rows"):
        fit_to(table, tmp_path / "m", search=24, folds=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"folds": 1}, "folds is 1; it must be 2 to 20"),
        ({"folds": 21}, "folds is 21; it must be 2 to 20"),
        ({"folds": "3"}, "folds is '3'; it must be 2 to 20"),
        ({"search": 1}, "search is 1; it must be 2 to 500, the number of trials"),
        ({"search": True}, "search is True; it must be 2 to 500"),
        ({"folds": 60}, "folds is 60"),
    ],
)
def test_numbers_out_of_range_are_refused(table: str, tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fit_to(table, tmp_path / "m", **values)


def test_a_missing_optuna_is_said_before_the_data_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(
        MissingExtra, match=r'search= needs Optuna, which is not installed; pip install "tidegate\[search'
    ):
        fit_to(str(tmp_path / "no.csv"), tmp_path / "m", search=4)


def test_what_another_model_decides_is_not_searched() -> None:
    task = tasks.load("classify")
    typed = task.Options(from_model="m", seed=3)
    fixed = list_fixed(typed, task.Options(from_model="m", seed=3, embed=50), {"seed"})
    assert {"seed", "embed", "hidden", "depth", "subwords"} <= fixed
    assert not {"rate", "smoothing", "drop_pool"} & fixed


@pytest.mark.parametrize("task", tasks.names())
def test_every_task_can_be_searched_in_folds(task: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "data.csv"
    options: dict[str, Any]
    if task in ("forecast", "detect"):
        n = 400 if task == "forecast" else 1200  # a threshold takes more
        path.write_text("load\n" + "".join(f"{v:.3f}\n" for v in np.sin(np.arange(n) / 3) + rng.normal(size=n) / 9))
        options = {"horizon": 3, "lookback": 12, "windows_per_epoch": 64}
        options = options if task == "forecast" else {"warmup": 4, "alarms_per_1000": 100.0}
    else:
        rows = [" ".join(rng.choice([*"abcdefgh"], 6)) for _ in range(104)]
        path.write_text(
            "text,label,tokens,tags\n" + "".join(f"{r},{'xy'[i % 2]},{r},O O B-q O O O\n" for i, r in enumerate(rows))
        )
        options = {"embed": 8, "refit_epochs": 1}
    options = {"hidden": 8, "epochs": 2, "batch": 16, **options}
    model = fit(task, str(path), out=str(tmp_path / "m"), search=3, folds=2, threads=1, **options)  # type: ignore[arg-type]
    provenance = model.document["provenance"]
    assert [one["state"] for one in provenance["search"]["each"]].count("finished") >= 2
    assert {len(values) for values in provenance["folds"]["figures"].values()} == {2}
    assert provenance["search"]["metric"] in provenance["metrics"]["held_out"]
    assert isinstance(Model.load(tmp_path / "m"), Model)


def test_errors_of_a_fold_name_it(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tidegate.train import folds

    judge = folds.judge

    def fail(job: Any, part: str, *args: Any) -> Any:
        if part == "fold 2 of 2":
            raise TidegateError("no room")
        return judge(job, part, *args)

    monkeypatch.setattr(folds, "judge", fail)
    with pytest.raises(TidegateError, match="fold 2 of 2: no room"):
        fit_to(table, tmp_path / "m", folds=2)
