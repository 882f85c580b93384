"""What the README and the docs show in Python runs as it stands; what needs a user's file is tried elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDS = ("intent.safetensors", "intent.onnx", "GATES")  # a fitted file, an exported one; a cell, not a script


def snippets() -> list[tuple[str, str]]:
    docs = ("data.md", "torch.md", "estimators.md", "forecast.md", "streams.md")
    pages = [ROOT / "README.md", *(ROOT / "docs" / name for name in docs)]
    found = [(page.name, text) for page in pages for text in re.findall(r"```python\n(.*?)```", page.read_text(), re.S)]
    return [(name, text) for name, text in found if not any(word in text for word in NEEDS)]


SNIPPETS = snippets()


def test_there_are_some() -> None:
    assert len(SNIPPETS) >= 3


@pytest.mark.parametrize(("name", "text"), SNIPPETS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(SNIPPETS)])
def test_it_runs(name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for library in ("pandas", "sktime"):
        if f"import {library}" in text or f"from {library}" in text:
            pytest.importorskip(library)
    exec(compile(text, name, "exec"), {})
