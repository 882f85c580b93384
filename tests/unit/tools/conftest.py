"""The modules of tools/, which are no package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.fixture(scope="session", autouse=True)
def on_the_path() -> Iterator[None]:
    sys.path.insert(0, str(TOOLS))
    yield
    sys.path.remove(str(TOOLS))


@pytest.fixture(scope="session")
def figures(on_the_path: None) -> ModuleType:
    return importlib.import_module("figures")


@pytest.fixture(scope="session")
def pictures(on_the_path: None) -> ModuleType:
    return importlib.import_module("pictures")
