"""The version is written only in `tidegate/__init__.py`; the package's metadata and everything else read it."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import tidegate
from tidegate.cli import main


def test_the_metadata_read_it(root: Path) -> None:
    whole = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    assert "version" in whole["project"]["dynamic"]
    place = whole["tool"]["scikit-build"]["metadata"]["version"]["input"]
    assert re.findall(r'^__version__ = "(.+?)"', (root / place).read_text("utf-8"), re.M) == [tidegate.__version__]
    assert version("tidegate") == tidegate.__version__


def test_the_command_line_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"tidegate {tidegate.__version__}\n"


def test_it_stands_nowhere_else(root: Path) -> None:
    sources = [*root.glob("src/**/*.py"), *root.glob("native/**/*.[ch]*"), *root.glob("*.toml"), *root.glob("*.cff")]
    holders = [
        path.name
        for path in [*sources, root / "CMakeLists.txt"]
        if f'"{tidegate.__version__}"' in path.read_text("utf-8")
    ]
    assert holders == ["__init__.py"]
    assert not re.search(r"^version:", (root / "CITATION.cff").read_text("utf-8"), re.M)
