"""Flags made from a dataclass of options."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tidegate.cli import _flags
from tidegate.cli._parser import Parser
from tidegate.errors import OptionError


@dataclass(frozen=True)
class Options:
    size: int = field(default=4, metadata={"help": "how 100 % large"})
    learning_rate: float = field(default=0.1, metadata={"help": "rate"})
    kind: str = field(default="a", metadata={"help": "kind", "choices": ("a", "b")})
    fold: bool = field(default=True, metadata={"help": "fold case"})
    batch: int | None = field(default=None, metadata={"help": "rows; decided from the data"})


@pytest.fixture
def parser() -> Parser:
    made = Parser(prog="tidegate test")
    _flags.add_options(made, Options)
    return made


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("", {}),
        ("--size 3 --learning-rate 1e-2", {"size": 3, "learning_rate": 0.01}),
        ("--kind b --no-fold --batch 7", {"kind": "b", "fold": False, "batch": 7}),
        ("--fold", {"fold": True}),
    ],
)
def test_only_what_was_typed_is_there(parser: Parser, typed: str, values: dict[str, object]) -> None:
    assert _flags.typed_values(parser.parse(typed.split()), Options) == values


@pytest.mark.parametrize(
    ("typed", "fragment"),
    [
        ("--siz 3", "unknown option --siz; did you mean --size? see 'tidegate test --help'"),
        ("--learning_rate 3", "did you mean --learning-rate?"),
        ("--size three", "--size: invalid int value: 'three'"),
        ("--kind c", "invalid choice: 'c'"),
        ("--size", "expected one argument"),
        ("more", "unexpected argument 'more'"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(parser: Parser, typed: str, fragment: str) -> None:
    with pytest.raises(OptionError, match=r"see 'tidegate test --help'$") as caught:
        parser.parse(typed.split())
    assert fragment in str(caught.value)


def test_help_tells_defaults(parser: Parser) -> None:
    shown = " ".join(parser.format_help().split())
    assert "how 100 % large (default 4)" in shown
    assert "fold case (default yes)" in shown
    assert "decided from the data" in shown
    assert "None" not in shown
