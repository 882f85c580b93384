"""One model fitted for all end-to-end tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

import pytest

import shared

sys.path.insert(0, str(Path(__file__).parent))
from intents import SMALL, messages, write

Run = Callable[..., CompletedProcess[str]]


class Fitted(NamedTuple):
    """A folder with train.csv, test.csv and the model fitted on the former."""

    folder: Path
    model: Path
    train: Path
    test: Path


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory, tidegate: Run) -> Fitted:
    def fit(folder: Path) -> None:
        train = write(folder / "train.csv", messages(300, 1))
        write(folder / "test.csv", messages(80, 2))
        done = tidegate("fit", "classify", train, *SMALL, "--out", folder / "intent.safetensors")
        assert done.returncode == 0, done.stderr

    folder = shared.once(tmp_path_factory, "fitted", fit)
    return Fitted(folder, folder / "intent.safetensors", folder / "train.csv", folder / "test.csv")


@pytest.fixture(scope="session")
def weights_hash() -> Callable[[Path], str]:
    """The hash of a model file's weights."""
    from tidegate.model import Model

    return lambda path: Model.load(path).weights_hash
