"""`import tidegate` and its lazy names."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tidegate


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_import_loads_next_to_nothing() -> None:
    # importlib.util and .machinery are what the finder of an editable install loads, whatever is imported
    start = "import sys, importlib.machinery, importlib.util; before = set(sys.modules)"
    loaded = run_python(f"{start}; import tidegate; print(*sorted(set(sys.modules) - before))").split()
    assert "tidegate" in loaded
    assert set(loaded) <= {
        "tidegate",
        "__future__",
        "typing",
        "collections.abc",
        "re",
        "functools",
        *modules_of_typing(),
    }


def modules_of_typing() -> set[str]:
    """List the modules that `import typing` loads."""
    code = "import sys; before = set(sys.modules); import typing; print(*sorted(set(sys.modules) - before))"
    return set(run_python(code).split())


def test_every_name_can_be_had() -> None:
    assert set(tidegate.__all__) <= set(dir(tidegate))
    for name in set(tidegate.__all__) - {"fit"}:
        assert getattr(tidegate, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        _ = tidegate.fitt


def test_without_torch_fit_names_what_to_install() -> None:
    code = """
import sys
sys.modules["torch"] = None
import tidegate
try:
    tidegate.fit
except tidegate.TidegateError as error:
    print(type(error).__name__, error)
"""
    kind, _, message = run_python(code).partition(" ")
    assert kind == "MissingExtra"
    assert message.startswith("training needs torch")
    assert message.endswith('pip install "tidegate[train]"')
