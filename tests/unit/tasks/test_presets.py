"""A preset decides the options that the user does not give, each where it is declared, and nothing else."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

import pytest

from tidegate import tasks
from tidegate.cli._flags import help_of
from tidegate.errors import OptionError
from tidegate.tasks import classify, encode, tag
from tidegate.tasks._options import PRESETS, apply_preset, make_options

OTHER: dict[type, Any] = {int: 7, float: 0.25}
CHOSEN = {"linear": "auto", "pool": "last", "decoder": "crf"}


def declared(task: str) -> list[Field[Any]]:
    return [f for f in fields(tasks.load(task).Options) if f.metadata["presets"]]


def values(options: Any, task: str) -> dict[str, Any]:
    return {f.name: getattr(options, f.name) for f in declared(task)}


def other_value(field: Field[Any]) -> Any:
    """Return a value of an option that no preset has."""
    return CHOSEN.get(field.name) or OTHER[type(field.metadata["presets"]["tiny"])]


@pytest.mark.parametrize("task", tasks.names())
def test_only_a_default_of_none_leaves_the_choice_to_presets(task: str) -> None:
    assert {f.name for f in declared(task)} >= {"hidden", "depth", "rate"}
    for field in declared(task):
        assert field.default is None, field.name
        assert set(field.metadata["presets"]) <= set(PRESETS), field.name
        assert "tiny" in field.metadata["presets"], field.name


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("task", tasks.names())
def test_a_preset_decides_what_is_not_given(task: str, preset: str) -> None:
    module = tasks.load(task)
    made = apply_preset(module.Options(preset=preset))
    wanted = {f.name: f.metadata["presets"].get(preset) for f in declared(task)}
    assert values(made, task) == {**wanted, **({"context": None} if "context" in wanted else {})}
    assert apply_preset(made) == made


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("task", tasks.names())
def test_an_option_that_is_given_wins(task: str, preset: str) -> None:
    given = {f.name: other_value(f) for f in declared(task) if f.name != "context"}
    made = apply_preset(make_options(tasks.load(task).Options, {"preset": preset, **given}))
    assert {name: getattr(made, name) for name in given} == given


def test_an_option_that_is_given_wins_even_if_it_is_what_small_has() -> None:
    """So it does not matter whether options come from flags, from keywords, from Options or from an estimator."""
    made = apply_preset(classify.Options(preset="tiny", depth=1, drop_pool=0.5, rate=0.003, vocabulary=30_000))
    assert (made.depth, made.drop_pool, made.rate, made.vocabulary) == (1, 0.5, 0.003, 30_000)


def test_small_is_the_default_and_leaves_to_data_what_they_decide() -> None:
    made = apply_preset(classify.Options())
    assert made == apply_preset(classify.Options(preset="small"))
    assert (made.depth, made.vocabulary, made.rate, made.drop_embed, made.drop_pool) == (1, 30_000, 0.003, 0.5, 0.5)
    assert [made.hidden, made.embed, made.pool, made.linear, made.subwords, made.epochs] == [None] * 6
    assert (apply_preset(tag.Options()).embed, apply_preset(encode.Options()).size) == (128, 64)


def test_an_option_of_another_one_is_decided_beside_it_alone() -> None:
    """The width over messages has no meaning without conversations, where it is refused."""
    assert apply_preset(classify.Options(preset="tiny")).context is None
    talk = classify.Options(preset="tiny", conversation="talk", turn="turn")
    assert apply_preset(talk).context == 32


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="^preset is 'large'; choose one of tiny, small, base$"):
        classify.Options(preset="large")


def test_the_help_of_an_option_has_what_each_preset_makes_of_it() -> None:
    found = {f.name: help_of(f) for f in fields(classify.Options)}
    assert found["drop_pool"].endswith("(default 0.5, 0.2 with --preset tiny)")
    assert found["subwords"].endswith("default: 32 for texts of words (0 with --preset tiny)")
    assert found["preset"].endswith("(default small)")
