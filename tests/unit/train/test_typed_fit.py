"""A type checker knows the options of every task, and refuses other names."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SNIPPET = """\
import tidegate
tidegate.fit("classify", "t.csv", out="m", epochs=3, hidden=8)
tidegate.fit("forecast", "t.csv", out="m", horizon=3)
tidegate.fit("classify", "t.csv", out="m", epoch=3)
tidegate.fit("forecast", "t.csv", out="m", horizon="3")
tidegate.fit("classify", "t.csv", out="m", horizon=3)
"""


def test_the_types_are_those_of_the_options() -> None:
    tool = ROOT / "tools" / "option_types.py"
    spec = importlib.util.spec_from_file_location("option_types", tool)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.OUT.read_text("utf-8") == module.render(), "run python tools/option_types.py"


@pytest.mark.slow
def test_mypy_refuses_an_option_that_the_task_lacks(tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(SNIPPET)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "snippet.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    wrong = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert wrong == {4, 5, 6}, done.stdout
