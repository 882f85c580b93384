"""Imports go to lower ranks only, without cycles; torch stays where training is. And these tests can fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import imports as rules

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "tidegate"
RANK = rules.read_ranks((PACKAGE.parents[1] / "ARCHITECTURE.md").read_text("utf-8"))
TABLE = "\n".join(
    (
        "| 0 | `errors.py`, `tape/` | x |",
        "| 1 | `cells/`, `layers/` | x |",
        "| 3 | `tasks/` | x |",
        "| 4 | `nn/` | x |",
    )
)


def test_the_table_names_every_room() -> None:
    assert RANK["errors"] == 0
    assert rules.find_unranked(PACKAGE, RANK) == []


def test_imports_go_to_a_lower_rank() -> None:
    assert rules.find_upward(PACKAGE, RANK) == []


def test_torch_is_imported_where_training_is() -> None:
    assert rules.find_stray_torch(PACKAGE) == []


def test_no_room_has_an_import_cycle() -> None:
    assert rules.find_cycles(PACKAGE) == []


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name in ("tape", "cells", "layers", "tasks", "nn"):
        (tmp_path / "tidegate" / name).mkdir(parents=True)
    return tmp_path / "tidegate"


@pytest.mark.parametrize(
    ("file", "code", "guilty"),
    [
        ("tape/a.py", "from ..cells import gru", True),
        ("tape/a.py", "import tidegate.cells.gru", True),
        ("tape/a.py", "def f():\n    from tidegate import cells", True),
        ("cells/a.py", "from ..layers import dense", True),
        ("cells/a.py", "from .b import c", False),
        ("cells/a.py", "from ..tape import trace\nfrom ..errors import CellError", False),
        ("tape/a.py", "from ..errors import CellError", False),
        (
            "tape/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..cells import gru",
            False,
        ),
    ],
)
def test_an_import_that_goes_up_is_caught(house: Path, file: str, code: str, guilty: bool) -> None:
    (house / file).write_text(code)
    assert bool(rules.find_upward(house, rules.read_ranks(TABLE))) is guilty


@pytest.mark.parametrize(
    ("file", "code", "guilty"),
    [
        ("cells/a.py", "import torch", True),
        ("cells/a.py", "def loss():\n    import torch.nn", True),
        ("tasks/a.py", "from torch import nn", True),
        ("tasks/a.py", "def score():\n    import torch", True),
        ("tasks/a.py", "def loss(x):\n    import torch", False),
        ("nn/a.py", "import torch", False),
        ("cells/a.py", "import torchless", False),
    ],
)
def test_a_stray_torch_is_caught(house: Path, file: str, code: str, guilty: bool) -> None:
    (house / file).write_text(code)
    assert bool(rules.find_stray_torch(house)) is guilty


def test_a_room_without_a_rank_is_caught(house: Path) -> None:
    (house / "attic").mkdir()
    (house / "attic" / "a.py").write_text("")
    (house / "cells" / "a.py").write_text("")
    assert rules.find_unranked(house, rules.read_ranks(TABLE)) == ["attic"]


def cycle(*names: str) -> str:
    return " -> ".join(f"tidegate.{name}" for name in names)


@pytest.mark.parametrize(
    ("files", "cycles"),
    [
        ({"cells/a.py": "from .b import x", "cells/b.py": ""}, []),
        ({"cells/a.py": "from .b import x", "cells/b.py": "from .c import y", "cells/c.py": ""}, []),
        ({"cells/a.py": "from .b import x", "cells/b.py": "from . import a"}, [("cells.a", "cells.b", "cells.a")]),
        (
            {"cells/a.py": "import tidegate.cells.b", "cells/b.py": "def f():\n    from .a import x"},
            [("cells.a", "cells.b", "cells.a")],
        ),
        (
            {
                "cells/a.py": "from .b import x",
                "cells/b.py": "from .c import x",
                "cells/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import x",
            },
            [("cells.a", "cells.b", "cells.c", "cells.a")],
        ),
        (
            {
                "cells/__init__.py": "from .a import x",
                "cells/a.py": "from . import y",
                "nn/deep/a.py": "from ..b import x",
                "nn/b.py": "from .deep import a",
            },
            [("cells", "cells.a", "cells"), ("nn.b", "nn.deep.a", "nn.b")],
        ),
    ],
)
def test_a_cycle_inside_a_room_is_caught(house: Path, files: dict[str, str], cycles: list[tuple[str, ...]]) -> None:
    for file, code in files.items():
        (house / file).parent.mkdir(exist_ok=True)
        (house / file).write_text(code)
    assert rules.find_cycles(house) == [cycle(*names) for names in cycles]


def test_each_of_two_cycles_is_caught(house: Path) -> None:
    (house / "cells" / "a.py").write_text("from . import b, c")
    (house / "cells" / "b.py").write_text("from . import a")
    (house / "cells" / "c.py").write_text("from . import a")
    assert len(rules.find_cycles(house)) == 2
