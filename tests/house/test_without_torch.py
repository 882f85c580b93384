"""Loading, predicting and streaming work where torch is not installed, and never import it."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]

QUIET = [
    "tidegate",
    "tidegate.runtime",
    "tidegate.verify",
    "tidegate.model",
    "tidegate.tasks",
    "tidegate.data",
    "tidegate.cli",
    "tidegate.estimators",
]


@pytest.mark.parametrize("module", QUIET)
def test_importing_does_not_ask_for_torch(without_torch: Run, module: str) -> None:
    done = without_torch(f"import {module}\nassert 'torch' not in sys.modules")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", ["tidegate.nn", "torch"])
def test_this_test_can_fail(without_torch: Run, module: str) -> None:
    done = without_torch(f"import {module}")
    assert done.returncode == 1
    assert "torch was asked for" in done.stderr


def test_fit_names_the_install_command(tidegate_without_torch: Run, tmp_path: object) -> None:
    done = tidegate_without_torch("fit", "classify", "no.csv", "--text", "a", "--label", "b", "--out", "o.safetensors")
    assert done.returncode == 2
    assert "pip install" in done.stderr
    assert "[train]" in done.stderr
    assert len(done.stderr.splitlines()) <= 2
