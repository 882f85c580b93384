"""The tagger in scikit-learn's tools, and the same model as by `tidegate fit`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import tidegate
from tidegate.errors import WrongData, WrongValue
from tidegate.estimators import Tagger

QUICK: dict[str, Any] = {"hidden": 16, "embed": 16, "rate": 0.02, "epochs": 30, "refit_epochs": 2, "batch": 4}
CITIES = ("york", "bonn", "rome", "oslo", "san jose")
X = [f"{word} {city}" for word in ("to", "from", "near", "past") for city in CITIES]
Y = [["O", "B-city", "I-city"][: len(text.split())] for text in X]


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(**QUICK).fit(X, Y)


def test_it_tags_texts_and_lists_of_words(tagger: Tagger) -> None:
    assert tagger.predict(X) == Y
    assert tagger.predict([text.split() for text in X]) == Y
    assert tagger.predict([["to", "rome"], "", "to"])[1:] == [[], ["O"]]
    assert tagger.score(X, Y) == 1.0
    assert tagger.score(["to rome", "to bonn"], [["O", "B-city"], ["O", "O"]]) == pytest.approx(2 / 3)


def test_it_is_the_model_that_the_command_fits(tagger: Tagger, tmp_path: Path) -> None:
    rows = [f"{text},{' '.join(tags)}" for text, tags in zip(X, Y, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["tokens,tags", *rows]) + "\n", "utf-8")
    model = tidegate.fit("tag", tmp_path / "t.csv", out=tmp_path / "m.safetensors", **QUICK)
    assert model.weights_hash == tagger.model_.weights_hash


def test_clones_pickles_files_and_cross_validation(tagger: Tagger, tmp_path: Path) -> None:
    assert clone(tagger).get_params() == tagger.get_params()
    assert pickle.loads(pickle.dumps(tagger)).predict(X[:3]) == Y[:3]
    tagger.save(tmp_path / "m.safetensors")
    assert tidegate.load(tmp_path / "m.safetensors").answers([X[0]])[0].tags == Y[0]
    assert np.isfinite(cross_val_score(Tagger(**{**QUICK, "epochs": 2}), X, Y, cv=2)).all()


WRONG: list[tuple[Any, Any, str]] = [
    ("to rome", Y, "X is one text; put it in a list"),
    (X, None, "requires y to be passed"),
    ([*X[:-1], 3], Y, "X, row 20: found int; expected a text or a list of words"),
    ([*X[:-1], ["new york"]], Y, "X, row 20: found 'new york'; expected words without white space"),
    (X, [*Y[:-1], ["O"]], "X, row 20: column 'tokens' has 3 tokens, column 'tags' has 1 tag"),
]


@pytest.mark.parametrize(("x", "y", "message"), WRONG)
def test_wrong_data(x: Any, y: Any, message: str) -> None:
    with pytest.raises(WrongData) as error:
        Tagger(**QUICK).fit(x, y)
    assert message in str(error.value)


def test_wrong_options_and_numbers_of_tags(tagger: Tagger) -> None:
    with pytest.raises(WrongValue, match="embed"):
        Tagger(embed=0).fit(X, Y)
    with pytest.raises(WrongData, match="X, row 1 has 2 words, and y has 1 tags"):
        tagger.score(X[:1], [["O"]])
