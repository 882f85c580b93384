"""What a search may choose is declared beside each option, and only what matters for the data is searched."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tidegate import tasks
from tidegate.tasks._search_space import Choices, Multiples, Numbers, find_space

DECLARED = [
    (name, field)
    for name in tasks.names()
    for field in dataclasses.fields(tasks.load(name).Options)
    if field.metadata.get("search") is not None
]


def space_of(task: str, kinds: list[str], fixed: set[str] | None = None, **options: Any) -> dict[str, Any]:
    return find_space(tasks.load(task).Options(**options), kinds, fixed or set())


@pytest.mark.parametrize("task", tasks.names())
def test_every_task_has_something_to_search(task: str) -> None:
    assert {"rate", "hidden", "depth"} <= {field.name for name, field in DECLARED if name == task}


@pytest.mark.parametrize(("task", "field"), DECLARED, ids=lambda one: getattr(one, "name", one))
def test_every_value_is_allowed_and_a_default_is_among_them(task: str, field: Any) -> None:
    declared, least, most = field.metadata["search"], field.metadata["least"], field.metadata["most"]
    if isinstance(declared, Multiples):
        assert 1 in declared.factors
        assert max(declared.factors) <= 4
        return
    values = (declared.low, declared.high) if isinstance(declared, Numbers) else declared.values
    assert least <= min(values) < max(values) <= most
    if field.default is not None:
        found = declared.around(field.default, field)
        assert found == declared, "the range has to contain the default"


def test_an_option_is_searched_where_it_matters() -> None:
    decided: dict[str, Any] = {"hidden": 64, "smoothing": 0.1, "conv": 0, "subwords": 32, "drop_embed": 0.5}
    texts, series = space_of("classify", ["text"], **decided), space_of("classify", ["series"], **decided)
    assert {"drop_words", "drop_embed", "subwords"} <= set(texts)
    assert not {"noise", "shift", "conv", "context"} & set(texts)
    assert {"noise", "shift", "conv"} <= set(series)
    assert not {"drop_words", "drop_embed", "subwords"} & set(series)
    assert "smoothing" not in space_of("classify", ["text"], hidden=64)  # an encoder without labels leaves it undecided
    assert "subwords" not in space_of("classify", ["text"], hidden=64, subwords=0)  # nothing to multiply


def test_an_option_beside_another_is_searched_with_it_alone() -> None:
    talks = {"conversation": "talk", "turn": "turn"}
    assert space_of("classify", ["text"], hidden=8, context=32, **talks)["context"].values == (16, 32, 64)
    assert "context" not in space_of("classify", ["text"], hidden=8)


def test_what_is_fixed_is_not_searched() -> None:
    assert {"rate", "hidden"} & set(space_of("forecast", ["series"], {"rate", "hidden"}, hidden=8)) == set()


def test_a_default_outside_the_range_widens_it() -> None:
    rate = tasks.load("tag").Options.__dataclass_fields__["rate"]
    assert Numbers(0.001, 0.01).around(0.05, rate).high == 0.05
    assert Choices((1, 2)).around(3, rate).values == (3, 1, 2)


def test_multiples_stay_within_the_bounds_of_the_option() -> None:
    hidden = tasks.load("tag").Options.__dataclass_fields__["hidden"]
    assert Multiples((0.5, 1, 2)).around(1, hidden).values == (1, 2)
    assert Multiples((0.5, 1, 2)).around(4096, hidden).values == (2048, 4096)


def test_numbers_that_are_drawn_are_short_and_within_the_bounds() -> None:
    assert Numbers(0.001, 0.01, log=True).tidy(0.0016049) == 0.0016
    assert Numbers(0.123, 0.456).tidy(0.1231) == 0.123
    assert Numbers(0.0, 0.456).tidy(0.4559) == 0.456
