"""What `import tidegate.estimators` loads, and the message if scikit-learn is missing."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

import tidegate
from tidegate import estimators

WITHOUT = """
import sys
sys.modules["sklearn"] = None
import tidegate
try:
    tidegate.estimators
except tidegate.TidegateError as error:
    print(type(error).__name__, error)
"""


def test_it_is_an_attribute_of_the_package() -> None:
    assert tidegate.estimators is estimators


def test_without_scikit_learn_the_install_command_is_named(python: Callable[..., CompletedProcess[str]]) -> None:
    done = python("-c", WITHOUT)
    assert done.stdout.startswith("MissingExtra estimators need scikit-learn"), done.stderr
    assert 'pip install "tidegate[sklearn,train]"' in done.stdout


def test_importing_tidegate_does_not_ask_for_scikit_learn(python: Callable[..., CompletedProcess[str]]) -> None:
    done = python("-c", "import sys, tidegate, tidegate.cli, tidegate.tasks\nassert 'sklearn' not in sys.modules")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["Classifier", "Encoder", "Forecaster", "Tagger"])
def test_help_explains_every_parameter(name: str) -> None:
    made = getattr(estimators, name)
    told = made.__init__.__doc__ or ""
    assert [p for p in made().get_params() if f"\n{p}: " not in told] == []
