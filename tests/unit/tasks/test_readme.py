"""The README of tasks/ shows the toy task as it stands."""

from __future__ import annotations

from pathlib import Path

import tidegate

ROOT = Path(tidegate.__file__).parents[2]


def test_the_task_of_the_readme_is_the_one_that_is_tested() -> None:
    readme = (ROOT / "src" / "tidegate" / "tasks" / "README.md").read_text("utf-8")
    code = readme.partition("```python\n")[2].partition("```")[0]
    toy = (ROOT / "tests" / "toy_tasks" / "polite.py").read_text("utf-8")
    assert code
    assert toy.endswith(code)
