"""The classifier in scikit-learn's tools: every form of X, and the same model as by `tidegate fit`."""

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
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import tidegate
from tidegate.data.series import from_arrays
from tidegate.errors import DataError, ModelFileError, OptionError, TidegateError, WrongData, WrongValue
from tidegate.estimators import Classifier
from tidegate.estimators.parameters import COLUMN_OPTIONS
from tidegate.tasks.classify import Options

QUICK: dict[str, Any] = {"hidden": 8, "epochs": 6, "refit_epochs": 1, "batch": 4}
TEXTS = ["hello there", "hi you", "good morning to you", "hello again", "bye now", "see you", "good night", "bye bye"]
GREETS = ["greet"] * 4 + ["leave"] * 4


def waves(n: int = 40, shortest: int = 9, longest: int = 15) -> tuple[list[Any], list[str]]:
    """Return series [T, 2] of different lengths; the class is the channel that moves."""
    rng = np.random.default_rng(0)
    series, labels = [], []
    for i in range(n):
        x = rng.normal(size=(int(rng.integers(shortest, longest)), 2)) * 0.1
        x[:, i % 2] += np.sin(np.arange(len(x)))
        series.append(x)
        labels.append("left" if i % 2 == 0 else "right")
    return series, labels


SERIES, SIDES = waves()


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    return Classifier(**QUICK).fit(SERIES, SIDES)


# ---- parameters


def test_every_option_is_a_parameter_or_names_a_column() -> None:
    params = set(Classifier().get_params())
    assert params == {f.name for f in fields(Options)} - COLUMN_OPTIONS - {"calendar"} | {"threads", "verbose"}
    assert {f.name: f.default for f in fields(Options)}["rate"] == Classifier().rate


def test_repr_shows_what_differs_from_the_defaults() -> None:
    assert repr(Classifier(hidden=8, rate=0.01)) == "Classifier(hidden=8, rate=0.01)"


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(TypeError, match="Classifier: got an unexpected keyword argument 'hiden'"):
        Classifier(hiden=3)
    with pytest.raises(TypeError, match="Classifier: tokens is now unit"):
        Classifier(tokens="char")
    with pytest.raises(TypeError, match="too many positional arguments"):
        Classifier(3)


def test_parameters_are_checked_by_fit_alone() -> None:
    made = Classifier(hidden=-1).set_params(cell="gruu", rate=np.float64(0.01))
    assert made.hidden == -1
    with pytest.raises(WrongValue, match="hidden is -1; it must be 1 to 4096") as caught:
        made.fit(SERIES, SIDES)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, OptionError)
    with pytest.raises(WrongValue, match="threads is 0"):
        Classifier(**QUICK, threads=0).fit(SERIES, SIDES)


def test_clone_has_the_parameters_and_no_model(fitted: Classifier) -> None:
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "model_")


# ---- forms of X


def test_it_is_the_model_of_fit(fitted: Classifier, tmp_path: Path) -> None:
    model = tidegate.fit("classify", from_arrays(SERIES, SIDES), out=str(tmp_path / "m.safetensors"), **QUICK)
    assert fitted.model_.weights_hash == model.weights_hash


def test_unequal_lengths_and_their_answers(fitted: Classifier) -> None:
    assert fitted.score(SERIES, SIDES) >= 0.9
    assert fitted.predict_proba(SERIES).shape == (40, 2)
    assert not hasattr(fitted, "n_features_in_")
    alone = np.concatenate([fitted.predict_proba([x]) for x in SERIES[:5]])
    assert alone.tobytes() == fitted.predict_proba(SERIES)[:5].tobytes()


@pytest.mark.parametrize(
    "form",
    [
        np.stack,
        lambda rows: [row.tolist() for row in rows],
        lambda rows: tuple(rows),
        lambda rows: np.stack(rows).astype(np.float32).astype(np.float64),
    ],
    ids=["array", "lists", "tuple", "float32"],
)
def test_equal_lengths_in_every_form(form: Callable[[list[Any]], Any]) -> None:
    rows = [x[:9].astype(np.float32).astype(np.float64) for x in SERIES]
    asked = Classifier(**QUICK).fit(rows, SIDES)
    again = Classifier(**QUICK).fit(form(rows), SIDES)
    assert again.model_.weights_hash == asked.model_.weights_hash
    assert again.predict(form(rows)).tolist() == asked.predict(rows).tolist()


def test_an_object_array_of_series(fitted: Classifier) -> None:
    column = np.empty(len(SERIES), object)
    column[:] = SERIES
    assert fitted.predict(column).tolist() == fitted.predict(SERIES).tolist()


def test_a_row_of_a_table_is_a_series_of_one_channel() -> None:
    table = np.stack([x[:9, 0] for x in SERIES])
    made = Classifier(**QUICK).fit(table, SIDES)
    assert made.n_features_in_ == 9
    assert made.model_.document["inputs"]["x"]["columns"] == ["value"]
    assert made.predict(list(table[:, :, None])).tolist() == made.predict(table).tolist()
    with pytest.raises(ValueError, match="X has 8 features, but Classifier is expecting 9"):
        made.predict(table[:, :8])
    with pytest.raises(WrongData, match="expected"):
        made.predict(SERIES)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library: str) -> None:
    frames = pytest.importorskip(library)
    table = np.stack([x[:5, 0] for x in SERIES])
    frame = frames.DataFrame({f"t{k}": table[:, k] for k in range(5)})
    made = Classifier(**QUICK).fit(frame, frames.Series(SIDES))
    assert made.feature_names_in_.tolist() == ["t0", "t1", "t2", "t3", "t4"]
    assert made.model_.weights_hash == Classifier(**QUICK).fit(table, SIDES).model_.weights_hash
    texts = Classifier(**QUICK).fit(frames.Series(TEXTS), frames.Series(GREETS))
    assert texts.predict(frames.Series(TEXTS)).tolist() == texts.predict(TEXTS).tolist()


def test_a_list_of_arrays_may_be_asked_with_another_length() -> None:
    rows = [x[:9, 0] for x in SERIES]
    made = Classifier(**QUICK).fit(rows, SIDES)
    assert not hasattr(made, "n_features_in_")
    assert made.predict([row[:7] for row in rows]).shape == (40,)
    assert made.model_.weights_hash == Classifier(**QUICK).fit(np.stack(rows), SIDES).model_.weights_hash
    uneven = [row[: 9 - i % 2].tolist() for i, row in enumerate(rows)]
    assert made.predict(uneven).tolist() == made.predict([np.array(row) for row in uneven]).tolist()


def test_texts_are_those_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("text,label\n" + "".join(f"{t},{g}\n" for t, g in zip(TEXTS, GREETS, strict=True)))
    model = tidegate.fit("classify", str(file), out=str(tmp_path / "m.safetensors"), **QUICK)
    for X in (TEXTS, np.array(TEXTS), np.array(TEXTS, object), tuple(TEXTS)):
        made = Classifier(**QUICK).fit(X, GREETS)
        assert made.model_.weights_hash == model.weights_hash
    made.save(tmp_path / "e.safetensors")
    assert tidegate.load(tmp_path / "e.safetensors").classify(TEXTS) == made.predict(TEXTS).tolist()


def test_refitting_on_another_kind_forgets_the_table() -> None:
    made = Classifier(**QUICK).fit(np.stack([x[:5, 0] for x in SERIES]), SIDES)
    made.fit(TEXTS, GREETS)
    assert not hasattr(made, "n_features_in_")


def test_missing_numbers_where_they_are_asked_for() -> None:
    table = np.stack([x[:9, 0] for x in SERIES])
    table[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        Classifier(**QUICK).fit(table, SIDES)
    made = Classifier(**QUICK, missing="mask").fit(table, SIDES)
    assert made.predict(table).shape == (40,)
    assert made.__sklearn_tags__().input_tags.allow_nan


# ---- labels


@pytest.mark.parametrize(
    "classes",
    [[10, 9], [True, False], ["b", "a"], np.array([2.0, 11.0]), np.array([-1, 1], np.int8)],
    ids=["integers", "booleans", "texts", "floats", "int8"],
)
def test_classes_come_back_as_given(classes: Any) -> None:
    y = np.array([classes[k] for k in (0, 1)] * 20)
    made = Classifier(**QUICK).fit(SERIES, y)
    assert made.classes_.tolist() == sorted(np.unique(y).tolist())
    assert made.predict(SERIES).dtype == y.dtype
    assert made.score(SERIES, y) >= 0.9
    best = made.predict_proba(SERIES).argmax(1)
    assert made.classes_[best].tolist() == made.predict(SERIES).tolist()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (SERIES, ["a"] * 40, "only one class"),
        (SERIES, None, "requires y to be passed"),
        (SERIES, SIDES[:-1], "inconsistent numbers of samples"),
        (SERIES, np.linspace(0, 1, 40), "Unknown label type"),
        ([np.zeros((3, 2)), np.zeros((4, 3))], ["a", "b"], "3 channels, but the first has 2"),
        ([np.zeros((3, 2)), np.full((4, 2), np.inf)], ["a", "b"], "step 1.*inf"),
        ([np.full((3, 1), np.nan), np.arange(4.0)] * 2, ["a", "b"] * 2, "series 1, step 1: no number"),
        (["a", " "] * 4, ["a", "b"] * 4, "X, row 2: the text .* is empty"),
        (np.ones((8, 3)), ["a", "b"] * 4, "carries no information"),
    ],
)
def test_what_cannot_be_learnt_from(X: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classifier(**QUICK).fit(X, y)


def test_errors_of_data_are_of_both_kinds() -> None:
    with pytest.raises(WrongData) as caught:
        Classifier(**QUICK).fit(["a", " "] * 4, ["a", "b"] * 4)
    assert isinstance(caught.value, DataError)
    assert isinstance(caught.value, TidegateError)


# ---- scikit-learn's tools


def test_a_pickle_answers_in_another_process_without_torch(
    fitted: Classifier, tmp_path: Path, without_torch: Callable[..., CompletedProcess[str]]
) -> None:
    file = tmp_path / "made.pickle"
    file.write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "x.npy", SERIES[0])
    code = f"""
import pickle, numpy
made = pickle.load(open({str(file)!r}, "rb"))
print(made.model_.weights_hash, made.predict_proba([numpy.load({str(tmp_path / "x.npy")!r})]).tobytes().hex())
"""
    done = without_torch(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [fitted.model_.weights_hash, fitted.predict_proba(SERIES[:1]).tobytes().hex()]


def test_a_pickle_of_an_older_version_is_refused_with_what_to_do() -> None:
    """It contained the fitted model as a document and tensors."""
    with pytest.raises(
        ModelFileError, match=r"Classifier comes from an older version of tidegate; .* save its model with save"
    ):
        Classifier().__setstate__({"hidden": 8, "_file": ({}, {}, None)})
    assert pickle.loads(pickle.dumps(Classifier(hidden=8))).hidden == 8


@pytest.mark.slow
def test_a_grid_over_a_pipeline_of_series() -> None:
    centred = FunctionTransformer(lambda rows: [x - x.mean(0) for x in rows])
    steps = make_pipeline(centred, Classifier(**{**QUICK, "epochs": 30}))
    grid = GridSearchCV(steps, {"classifier__hidden": np.array([1, 8])}, cv=2).fit(SERIES, SIDES)
    assert grid.best_params_ == {"classifier__hidden": 8}
    assert grid.best_score_ >= 0.9
    assert grid.best_estimator_[-1].model_.document["task"]["options"]["hidden"] == 8


def test_cross_validation_of_texts_in_a_pipeline() -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    wide = Classifier(**{**QUICK, "hidden": 32, "epochs": 12})
    scores = cross_val_score(make_pipeline(lower, wide), TEXTS * 4, GREETS * 4, cv=2)
    assert scores.min() >= 0.9


def test_verbose_tells_what_was_taken_and_every_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    Classifier(**{**QUICK, "epochs": 2}, verbose=True).fit(TEXTS, GREETS)
    said = capsys.readouterr().out.splitlines()
    assert "8 rows" in said[0]
    assert [line.split(":")[0] for line in said[1:]] == ["train 1/3", "train 2/3", "refit 3/3"]


def test_texts_and_labels_of_two_kinds_are_refused_not_converted() -> None:
    with pytest.raises(WrongData, match="X, row 2: found None among texts that are text; make them all text"):
        Classifier(epochs=1).fit(["hello there", None, "bye now", "bye"], ["a", "b", "a", "b"])
    with pytest.raises(WrongData, match="y, row 1: found 1 among labels that are text; make them all text"):
        Classifier(epochs=1).fit(np.zeros((4, 3)), [1, "a", 1, "a"])


@pytest.mark.parametrize("ask", ["fit", "predict"])
def test_one_text_that_is_in_no_list_is_named(ask: str) -> None:
    asked = Classifier(**QUICK)
    with pytest.raises(WrongData, match="X is one text; put it in a list"):
        asked.fit("hello there", ["greet"]) if ask == "fit" else asked.fit(TEXTS, GREETS).predict("hello there")


def test_groups_stay_on_one_side_of_the_hold_out() -> None:
    rng = np.random.default_rng(0)
    X, y, groups = rng.normal(size=(60, 4)), [0, 1] * 30, np.repeat(np.arange(12), 5)
    for rows in (X, [f"text {i}" for i in range(60)]):
        made = Classifier(hidden=4, epochs=1, refit_epochs=0).fit(rows, y, groups=groups)
        found = made.model_.document["provenance"]
        assert found["judged_on"].endswith("held out, of 1 of 12 groups")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        Classifier().fit(X, y, groups=groups[:-1])


# ---- rows out of scope


def write_requests(n: int, others: bool = True) -> tuple[list[str], list[str]]:
    rng, X, y = np.random.default_rng(n), [], []
    words = {"weather": ["rain", "sun", "storm"], "music": ["play", "song", "band"], "other": ["moon", "soup", "shoe"]}
    for i in range(n):
        label = [*words][i % (2 + others)]
        X.append(f"please {' '.join(rng.choice(words[label], 3))} {i}")
        y.append(label)
    return X, y


def test_a_row_out_of_scope_gets_what_stands_for_that_in_y() -> None:
    X, y = write_requests(120)
    model = Classifier(**QUICK, rate=0.02, out_of_scope="other").fit(X, y)
    assert model.classes_.tolist() == ["music", "weather"]
    assert model.predict_proba(X[:5]).shape == (5, 2)
    found = model.predict(["please moon soup shoe", "please play song band", "please rain sun storm"])
    assert found.tolist() == ["other", "music", "weather"]
    assert found.dtype.kind == "U"
    assert model.score(X, y) == np.mean(model.predict(X) == np.array(y)) > 0.9
    reason = model.predictor_.answers(["please moon soup shoe"])[0].reason
    assert reason.startswith("out of scope: the entropy")
    again = pickle.loads(pickle.dumps(model))
    assert again.predict(X).tolist() == model.predict(X).tolist()
    codes = [{"weather": 1, "music": 2, "other": 9}[label] for label in y]
    numbers = Classifier(**QUICK, rate=0.02, out_of_scope="9").fit(X, codes)
    assert numbers.classes_.tolist() == [1, 2]
    assert numbers.predict(["please moon soup shoe", "please play song band"]).tolist() == [9, 2]
    assert clone(model).get_params()["out_of_scope"] == "other"


def test_without_a_name_for_it_a_row_gets_none() -> None:
    X, y = write_requests(80, False)
    model = Classifier(**QUICK, rate=0.02, reject=0.5, linear="off").fit(X, y)  # sure of some rows only
    found = model.predict(X)
    assert found.dtype == object
    rejected = np.array([label is None for label in found])
    assert 0 < rejected.sum() < 80
    assert model.score(X, y) == np.mean(found == np.array(y, object))
    weights = np.where(rejected, 0.0, 1.0)
    assert model.score(X, y, weights) == np.mean(found[~rejected] == np.array(y, object)[~rejected])
    with pytest.raises(ValueError, match="reject is 2.0; it must be 0.0 to 0.9"):
        Classifier(reject=2.0).fit(X, y)
