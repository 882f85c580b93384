"""Fixtures for all tests: the root of the repository, the command line, and Python processes without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forks import Forks

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # without it, set before SciPy loads, scikit-learn skips a check

# Runs before the code under test: an import of torch fails as if torch were not installed, and is reported on stderr.
WITHOUT_TORCH = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            print("torch was asked for", file=sys.stderr)
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Blocked())
"""


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


PLAIN = {"COLUMNS": "80", "NO_COLOR": "1"}
Outcome = subprocess.CompletedProcess[str]


def run_python(*args: str, stdin: str | None = None, cwd: Path | None = None, **env: str) -> Outcome:
    """Run a Python process with these arguments and return its outcome, with its output as text."""
    return subprocess.run(
        [sys.executable, *args],
        input=stdin,
        cwd=cwd,
        env={**os.environ, **PLAIN, **env},
        capture_output=True,
        text=True,
        timeout=300,
        encoding="utf-8",
    )


@pytest.fixture(scope="session")
def python() -> Callable[..., Outcome]:
    return run_python


def command_line(before: str) -> Iterator[Callable[..., Outcome]]:
    with Forks(before) as forks:
        code = "import sys\nfrom tidegate.cli import main\nsys.exit(main(sys.argv[1:]))"

        def run(*args: object, stdin: str | None = None, cwd: Path | None = None, **env: str) -> Outcome:
            return forks.run(code, *map(str, args), stdin=stdin, cwd=cwd, env={**PLAIN, **env})

        yield run


@pytest.fixture(scope="session")
def tidegate() -> Iterator[Callable[..., Outcome]]:
    """Run the command line in a process of its own: `tidegate("info", "--json")`."""
    yield from command_line("import tidegate.cli, tidegate.nn, tidegate.runtime, tidegate.train")


@pytest.fixture(scope="session")
def tidegate_without_torch() -> Iterator[Callable[..., Outcome]]:
    """Run the command line in a process where torch cannot be imported."""
    yield from command_line(WITHOUT_TORCH + "import tidegate.cli, tidegate.runtime")


@pytest.fixture(scope="session")
def without_torch() -> Callable[..., Outcome]:
    """Run Python code in a process where torch cannot be imported."""
    return lambda code, **more: run_python("-c", WITHOUT_TORCH + code, **more)
