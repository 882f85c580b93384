"""A classifier of messages in conversations, in scikit-learn's tools."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import tidegate
from tidegate.errors import WrongData, WrongValue
from tidegate.estimators import Classifier

QUICK: dict[str, Any] = {
    "hidden": 16,
    "context": 16,
    "rate": 0.02,
    "epochs": 12,
    "drop_embed": 0.1,
    "drop_pool": 0.2,
}
SMALL: dict[str, Any] = {"hidden": 6, "embed": 6, "context": 5, "epochs": 2, "refit_epochs": 0}
ASKED, SAID = ("are you there", "can you come", "is it late"), ("yes sure", "no way", "okay then")


def talks(count: int, seed: int) -> tuple[list[str], list[str], dict[str, list[Any]]]:
    """Return messages, their labels and where they stand: the same words answer a question of the other, or state."""
    rng = random.Random(seed)
    rows = []
    for talk in range(count):
        asked = ""
        for turn in range(rng.randint(3, 8)):
            who = rng.choice(("ann", "bob"))
            if rng.random() < 0.5:
                rows.append((rng.choice(ASKED), "question", talk, turn, who))
                asked = who
            else:
                answers = asked not in ("", who)
                rows.append((rng.choice(SAID), "answer" if answers else "statement", talk, turn, who))
                asked = "" if answers else asked
    X, y, conversations, turns, speakers = map(list, zip(*rows, strict=True))
    return X, y, {"conversations": conversations, "turns": turns, "speakers": speakers}


X, Y, PLACES = talks(150, 1)
TEST_X, TEST_Y, TEST_PLACES = talks(40, 2)


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    return Classifier(**QUICK).fit(X, Y, **PLACES)


def test_a_label_depends_on_the_messages_before(fitted: Classifier) -> None:
    assert fitted.score(TEST_X, TEST_Y, **TEST_PLACES) > 0.9
    assert fitted.classes_.tolist() == ["answer", "question", "statement"]
    alone = {**TEST_PLACES, "conversations": range(len(TEST_X))}
    assert fitted.score(TEST_X, TEST_Y, **alone) < fitted.score(TEST_X, TEST_Y, **TEST_PLACES) - 0.1


def test_answers_come_in_the_order_of_the_rows(fitted: Classifier) -> None:
    wanted = fitted.predict_proba(TEST_X, **TEST_PLACES)
    order = random.Random(0).sample(range(len(TEST_X)), len(TEST_X))
    mixed = {name: np.array([cells[i] for i in order]) for name, cells in TEST_PLACES.items()}
    found = fitted.predict_proba([TEST_X[i] for i in order], **mixed)
    assert found.tobytes() == wanted[order].tobytes()
    assert np.allclose(found.sum(1), 1)
    assert fitted.predict(TEST_X, **TEST_PLACES).tolist() == fitted.classes_[wanted.argmax(1)].tolist()


def test_it_is_the_model_that_the_command_fits(fitted: Classifier, tmp_path: Path) -> None:
    columns = ("text", "label", "conversation", "turn", "speaker")
    rows = zip(X, Y, *PLACES.values(), strict=True)
    file = tmp_path / "t.csv"
    file.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    named = {name: name for name in columns[2:]}
    model = tidegate.fit("classify", str(file), out=str(tmp_path / "m.safetensors"), **named, **QUICK)
    assert model.weights_hash == fitted.model_.weights_hash
    again = pickle.loads(pickle.dumps(fitted))
    assert (
        again.predict(X[:9], **{k: v[:9] for k, v in PLACES.items()}).tolist()
        == fitted.predict(X[:9], **{k: v[:9] for k, v in PLACES.items()}).tolist()
    )
    assert clone(fitted).get_params()["context"] == 16


@pytest.mark.parametrize("form", ["list", "array", "pandas"])
@pytest.mark.parametrize("nothing", [None, float("nan"), ""])
def test_a_message_without_a_label_is_context(form: str, nothing: Any) -> None:
    few = {name: cells[:120] for name, cells in PLACES.items()}
    y: Any = [nothing if i % 3 == 0 else label for i, label in enumerate(Y[:120])]
    if form == "pandas":
        y = pytest.importorskip("pandas").Series(y, dtype=object)
    elif form == "array":
        y = np.array(y, object)
    made = Classifier(**SMALL).fit(X[:120], y, **few)
    assert made.classes_.tolist() == ["answer", "question", "statement"]
    found = made.predict(X[:120], **few)
    counted = [i for i in range(120) if i % 3]
    assert made.score(X[:120], y, **few) == pytest.approx(np.mean([found[i] == Y[i] for i in counted]))
    weights = np.arange(120.0)
    by_weight = np.average([found[i] == Y[i] for i in counted], weights=weights[counted])
    assert made.score(X[:120], y, sample_weight=weights, **few) == pytest.approx(by_weight)


def test_numbers_as_labels_come_back_as_numbers() -> None:
    few = {name: cells[:120] for name, cells in PLACES.items() if name != "speakers"}
    y = [float("nan") if label == "answer" else float(len(label) % 2) for label in Y[:120]]
    made = Classifier(**SMALL).fit(X[:120], y, **few)
    assert set(made.predict(X[:120], **few).tolist()) <= {0.0, 1.0}


# ---- scikit-learn's metadata


@pytest.fixture
def _routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def requested() -> Classifier:
    asked = {"conversations": True, "turns": True, "speakers": True}
    return Classifier(**{**QUICK, "epochs": 6}).set_fit_request(groups=False, **asked).set_score_request(**asked)


@pytest.mark.usefixtures("_routing")
def test_cross_validation_by_conversation() -> None:
    params = {**PLACES, "groups": PLACES["conversations"]}
    scores = cross_val_score(requested(), X, Y, cv=GroupKFold(2), params=params)
    assert scores.min() > 0.6


@pytest.mark.usefixtures("_routing")
def test_a_pipeline_passes_them_on() -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    few = {name: cells[:120] for name, cells in PLACES.items()}
    asked = {"conversations": True, "turns": True, "speakers": True}
    last = Classifier(**SMALL).set_fit_request(groups=False, **asked).set_predict_request(**asked)
    made = make_pipeline(lower, last).fit(X[:120], Y[:120], **few)
    assert made.predict(X[:120], **few).tolist() == made[-1].predict(X[:120], **few).tolist()


# ---- what is refused

ROW = {"conversations": [0, 0, 1, 1], "turns": [1, 2, 1, 2]}
TEXTS, LABELS = ["is it late", "no way", "yes sure", "okay then"], ["a", "b", "a", "b"]
WRONG: list[tuple[Any, Any, dict[str, Any], str]] = [
    (
        TEXTS,
        LABELS,
        {"turns": [1, 2, 1, 2]},
        "turns are given without conversations; give fit both, or leave turns out",
    ),
    (
        TEXTS,
        LABELS,
        {"conversations": [0, 0, 1, 1]},
        "conversations are given without turns, the numbers that put their",
    ),
    (TEXTS, LABELS, {**ROW, "turns": [1, 1, 1, 2]}, "X, row 2: conversation '0' has turn 1 in row 1, too; number its"),
    (TEXTS, LABELS, {**ROW, "turns": [1, 2, 1]}, "inconsistent numbers of samples"),
    (TEXTS, LABELS, {**ROW, "turns": [1.0, np.nan, 1, 2]}, "turns, row 2: no value in column 'turn' (nan); fill it"),
    (
        TEXTS,
        LABELS,
        {**ROW, "turns": ["1", "b", "1", "2"]},
        "X, row 2: column 'turn' is 'b'; expected a number such as",
    ),
    (
        TEXTS,
        LABELS,
        {**ROW, "conversations": "dialogue"},
        "conversations is one text; expected one conversation for each",
    ),
    (
        TEXTS,
        LABELS,
        {**ROW, "conversations": [0, None, 1, 1]},
        "conversations, row 2: no value in column 'conversation'",
    ),
    (
        TEXTS,
        LABELS,
        {**ROW, "conversations": ["a", "", "b", "b"]},
        "X, row 2: column 'conversation' has no conversation",
    ),
    (TEXTS, LABELS, {**ROW, "speakers": ["ann", "", "bob", "bob"]}, "X, row 2: column 'speaker' has no speaker"),
    (TEXTS, LABELS, {**ROW, "groups": [0, 0, 1, 1]}, "conversations are held out whole, so groups have no use beside"),
    (TEXTS, [None] * 4, ROW, "y has no label in any row; give two or more classes"),
    (TEXTS, ["a", None, "a", None], ROW, "y has only one class, 'a'; give two or more"),
    (TEXTS, [1, "a", 1, "a"], ROW, "y, row 1: found 1 among labels that are text; make them all text"),
    (TEXTS, None, ROW, "Classifier requires y to be passed, but the target y is None"),
    (np.ones((4, 3)), LABELS, ROW, "conversations are of messages, but X holds numbers; expected texts"),
    ([*TEXTS[:3], " "], LABELS, ROW, "X, row 4: the text in column 'text' is empty"),
]


@pytest.mark.parametrize(("x", "y", "places", "message"), WRONG, ids=[message[:40] for *_, message in WRONG])
def test_what_is_refused(x: Any, y: Any, places: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  the message is compared below
        Classifier(hidden=4, epochs=1).fit(x, y, **places)
    assert message in str(error.value)


def test_what_fit_was_given_predict_needs_too(fitted: Classifier) -> None:
    with pytest.raises(
        WrongData, match="Classifier was fitted with conversations; give it conversations and turns here"
    ):
        fitted.predict(TEST_X)
    with pytest.raises(WrongData, match="give it conversations and turns here, too, and speakers"):
        fitted.predict(["hi"], conversations=[1], turns=[1])
    with pytest.raises(WrongData, match="X, row 2: the message has no word; fill it in or leave the row out"):
        fitted.predict(["hi", " "], conversations=[1, 1], turns=[1, 2], speakers=["a", "b"])
    plain = Classifier(hidden=4, epochs=1).fit(TEXTS * 4, LABELS * 4)
    with pytest.raises(WrongData, match="Classifier was fitted without conversations; leave conversations, turns and"):
        plain.predict(TEXTS, conversations=[1] * 4, turns=range(4))
    with pytest.raises(WrongValue, match="context is 16, the width of the layer that reads conversations; give fit"):
        Classifier(context=16).fit(TEXTS, LABELS)
    few = Classifier(**SMALL).fit(
        X[:90], Y[:90], conversations=PLACES["conversations"][:90], turns=PLACES["turns"][:90]
    )
    with pytest.raises(WrongData, match="Classifier was fitted without speakers; leave them out"):
        few.predict(["hi"], conversations=[1], turns=[1], speakers=["a"])
