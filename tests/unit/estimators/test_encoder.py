"""The encoder in scikit-learn's tools, and the same model as by `tidegate fit`."""

from __future__ import annotations

import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import tidegate
from tidegate.data.table import Table
from tidegate.errors import WrongData, WrongValue
from tidegate.estimators import Encoder
from tidegate.estimators.parameters import COLUMN_OPTIONS
from tidegate.estimators.samples import make_unlabelled_source
from tidegate.tasks.encode import Options

QUICK: dict[str, Any] = {"size": 5, "hidden": 8, "embed": 8, "rate": 0.02, "epochs": 8, "refit_epochs": 1}
WORDS = {"cats": ["cat", "kitten", "purr", "meow"], "cars": ["car", "wheel", "motor", "road"]}


def texts(count: int, seed: int) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(seed)
    labels = random.choice(list(WORDS), count).tolist()
    return [" ".join(random.choice(WORDS[label], 2, replace=False)) for label in labels], labels


X, Y = texts(80, 1)
TEST_X, TEST_Y = texts(40, 2)


@pytest.fixture(scope="module")
def fitted() -> Encoder:
    return Encoder(**QUICK).fit(X, Y)


def test_it_gives_the_vectors_of_the_model_that_the_command_fits(fitted: Encoder, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in zip(X, Y, strict=True)))
    model = tidegate.fit("encode", str(file), out=str(tmp_path / "m.safetensors"), label="label", **QUICK)
    assert model.weights_hash == fitted.model_.weights_hash
    found = fitted.transform(TEST_X)
    assert (found.dtype, found.shape) == (np.float32, (40, 5))
    assert found.tobytes() == tidegate.load(tmp_path / "m.safetensors").vectors(TEST_X).tobytes()
    fitted.save(tmp_path / "saved.safetensors")
    assert tidegate.load(tmp_path / "saved.safetensors").vectors(TEST_X).tobytes() == found.tobytes()
    assert pickle.loads(pickle.dumps(fitted)).transform(TEST_X).tobytes() == found.tobytes()


def test_every_option_is_a_parameter_or_names_a_column() -> None:
    params = set(Encoder().get_params())
    assert params == {f.name for f in fields(Options)} - COLUMN_OPTIONS - {"calendar", "pairs"} | {"threads", "verbose"}
    assert repr(Encoder(size=8)) == "Encoder(size=8)"


def test_clusters_and_neighbours_are_the_classes(fitted: Encoder) -> None:
    vectors = fitted.transform(TEST_X)
    clusters = KMeans(2, n_init=5, random_state=0).fit_predict(vectors)
    same = np.array([a == b for a in clusters for b in clusters])
    assert (same == np.array([a == b for a in TEST_Y for b in TEST_Y])).mean() > 0.9
    near = tidegate.find_nearest(vectors, fitted.transform(X), 1).rows[:, 0]
    assert np.mean([Y[i] == label for i, label in zip(near, TEST_Y, strict=True)]) > 0.9


def test_a_pipeline_with_a_linear_model() -> None:
    assert cross_val_score(make_pipeline(Encoder(**QUICK), LogisticRegression()), X, Y, cv=2).min() > 0.9


def test_a_grid_over_the_size() -> None:
    steps = make_pipeline(Encoder(**{**QUICK, "epochs": 2}), LogisticRegression())
    grid = GridSearchCV(steps, {"encoder__size": [1, 5]}, cv=2).fit(X, Y)
    assert grid.best_estimator_[0].transform(["cat"]).shape == (1, grid.best_params_["encoder__size"])


def test_a_clone_learns_the_same(fitted: Encoder) -> None:
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "predictor_")
    assert again.fit_transform(X, Y).tobytes() == fitted.transform(X).tobytes()


def test_the_columns_of_the_output_have_names(fitted: Encoder) -> None:
    assert fitted.get_feature_names_out().tolist() == [f"encoder{i}" for i in range(5)]
    pytest.importorskip("pandas")
    frame = pickle.loads(pickle.dumps(fitted)).set_output(transform="pandas").transform(TEST_X[:3])
    assert list(frame.columns) == [f"encoder{i}" for i in range(5)]
    assert frame.to_numpy().tobytes() == fitted.transform(TEST_X[:3]).tobytes()


def test_series_of_any_length_and_tables() -> None:
    waves = [np.sin(np.arange(8 + i % 3) * (1 + i % 2)) + i / 100 for i in range(40)]
    kinds = [i % 2 for i in range(40)]
    made = Encoder(size=3, hidden=4, epochs=1).fit(waves, kinds)
    assert made.transform([wave[:6] for wave in waves]).shape == (40, 3)
    table = Encoder(size=3, hidden=4, epochs=1).fit(np.stack([wave[:8] for wave in waves]), kinds)
    assert table.n_features_in_ == 8
    with pytest.raises(ValueError, match="X has 7 features, but Encoder is expecting 8"):
        table.transform(np.zeros((2, 7)))


def test_messages_in_conversations() -> None:
    places = {"conversations": [i % 20 for i in range(80)], "turns": [i // 20 for i in range(80)]}
    made = Encoder(**QUICK, context=6).fit(X, Y, **places)
    found = made.transform(X, **places)
    assert found.shape == (80, 5)
    order = list(reversed(range(80)))
    back = made.transform([X[i] for i in order], **{name: [cells[i] for i in order] for name, cells in places.items()})
    assert back[::-1].tobytes() == found.tobytes()
    with pytest.raises(WrongData, match="X, row 2: the message has no word, so it has no vector"):
        made.transform(["cat", " "], conversations=[1, 1], turns=[1, 2])
    with pytest.raises(WrongData, match="Encoder was fitted with conversations; give it conversations and turns here"):
        made.transform(X)


def test_a_row_without_a_vector_is_named(fitted: Encoder) -> None:
    with pytest.raises(WrongData, match="^X, row 3: the message has no word, so it has no vector; fill it in or leave"):
        fitted.transform(["cat", "car", " ", ""])


def test_groups_stay_on_one_side_of_the_hold_out() -> None:
    rows = [f"{text} {i}" for i, text in enumerate(X)]
    made = Encoder(**{**QUICK, "epochs": 1}).fit(rows, Y, groups=[i // 8 for i in range(80)])
    assert made.model_.document["provenance"]["judged_on"].endswith("of 10 groups")


WRONG: list[tuple[Any, Any, dict[str, Any], str]] = [
    ("cat", Y, {}, "X is one text; put it in a list"),
    (X, ["cats"] * 80, {}, "y has only one class, 'cats'; give two or more"),
    (X, Y, {"pairs": X}, "y and pairs are given; vectors are learnt from labels or from pairs, so give one of them"),
    (X, Y[1:], {}, "inconsistent numbers of samples"),
    ([*X[1:], " "], Y, {}, "X, row 80: the text in column 'text' is empty"),
]


@pytest.mark.parametrize(("x", "y", "more", "message"), WRONG, ids=[message[:30] for *_, message in WRONG])
def test_what_cannot_be_learnt_from(x: Any, y: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  the message is compared below
        Encoder(**QUICK).fit(x, y, **more)
    assert message in str(error.value)


def test_wrong_options() -> None:
    with pytest.raises(WrongValue, match="size is 0; it must be 1 to 4096"):
        Encoder(size=0).fit(X, Y)


def test_vectors_are_learnt_without_labels_and_from_pairs() -> None:
    plain = Encoder(**QUICK).fit(X)
    assert plain.transform(TEST_X).shape == (len(TEST_X), QUICK["size"])
    assert plain.model_.document["task"]["options"]["label"] is None
    paired = Encoder(**QUICK).fit(X, pairs=[text + " too" for text in X])
    assert paired.model_.document["task"]["options"]["pairs"] == "pairs"
    assert not np.array_equal(plain.transform(TEST_X), paired.transform(TEST_X))
    series = np.random.default_rng(0).normal(size=(40, 12))
    assert Encoder(**QUICK).fit(series).transform(series[:3]).shape == (3, QUICK["size"])


def test_conversations_need_no_labels() -> None:
    places = {"conversations": [i // 4 for i in range(80)], "turns": [i % 4 for i in range(80)]}
    encoder = Encoder(**QUICK).fit(X, **places)
    assert encoder.transform(X, **places).shape == (80, QUICK["size"])
    with pytest.raises(WrongData, match="pairs are for single texts, and conversations are given; leave one of them"):
        Encoder(**QUICK).fit(X, pairs=X, **places)


def test_what_is_learnt_from_without_labels() -> None:
    source = make_unlabelled_source(Encoder(), X, groups=range(80), pairs=TEST_X * 2)
    assert isinstance(source, Table)
    assert list(source.columns) == ["text", "group", "pairs"]
    assert len(make_unlabelled_source(Encoder(), np.ones((4, 3)))) == 4
    with pytest.raises(WrongData, match="pairs are texts that belong to texts, but X holds numbers"):
        make_unlabelled_source(Encoder(), np.ones((4, 3)), pairs=["a"] * 4)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make_unlabelled_source(Encoder(), X, pairs=X[1:])


@parametrize_with_checks([Encoder(size=4, hidden=8, epochs=2, refit_epochs=1, rate=0.01)])
def test_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)
