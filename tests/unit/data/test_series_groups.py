"""Which series belong together, from every source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tidegate.data.series import Collection, from_arrays, read_series
from tidegate.errors import DataError, OptionError
from tidegate.tasks import classify
from tidegate.tasks._classified_series import read_unlabelled


def groups(found: Collection) -> list[str | None]:
    return [one.group for one in found.series]


def test_groups_of_tables(tmp_path: Path) -> None:
    steps = tmp_path / "steps.csv"
    steps.write_text("id,x,label,who\na,1,u,7\nb,2,v,8\na,3,u,7\nc,4,v,8\n")
    found = read_series(steps, id="id", label="label", group="who")
    assert (found.columns, groups(found)) == (["x"], ["7", "8", "8"])
    rows = tmp_path / "rows.csv"
    rows.write_text("v1,v2,label,who\n1,2,u,p\n3,4,v,q\n")
    found = read_series(rows, label="label", group="who")
    assert (groups(found), [len(one) for one in found.series]) == (["p", "q"], [2, 2])
    steps.write_text("id,x,label,who\na,1,u,7\na,3,u,8\n")
    with pytest.raises(DataError, match=r"steps.csv:3: column 'who' is '8', but series 'a' has '7' before"):
        read_series(steps, id="id", label="label", group="who")
    steps.write_text("id,x,label,who\na,1,u,7\na,3,u,\n")
    with pytest.raises(DataError, match="steps.csv:3: no group in column 'who'; fill it in, or remove the row"):
        read_series(steps, id="id", label="label", group="who")


def test_groups_of_archives_folders_and_arrays(tmp_path: Path) -> None:
    x, who = np.arange(12.0).reshape(3, 4), np.array(["p", "q", "p"])
    np.savez(tmp_path / "x.npz", x=x, y=np.array(["a", "b", "a"]), who=who)
    assert groups(read_series(tmp_path / "x.npz", label="y", group="who")) == ["p", "q", "p"]
    with pytest.raises(DataError, match="no array 'patient'; the archive has 'x', 'y', 'who'"):
        read_series(tmp_path / "x.npz", label="y", group="patient")
    for name, of in (("a/1.csv", "p"), ("b/2.csv", "q")):
        (tmp_path / "folder" / name).parent.mkdir(parents=True)
        (tmp_path / "folder" / name).write_text(f"x,who\n1,{of}\n2,{of}\n")
    assert groups(read_series(tmp_path / "folder", label="kind", group="who")) == ["p", "q"]
    found = from_arrays(x, labels=["a", "b", "a"], groups=[1, 2, 1])
    assert groups(read_series(found, label="label", group="who")) == ["1", "2", "1"]
    assert found.sha256 != from_arrays(x, labels=["a", "b", "a"]).sha256
    with pytest.raises(DataError, match=r"its series have no groups; add them with from_arrays\(x, groups=...\)"):
        read_series(from_arrays(x), group="who")
    with pytest.raises(OptionError, match="group is the column 'who', but an array has no columns"):
        read_series(x, group="who")


def test_a_model_that_was_fitted_with_groups_is_asked_without_and_with_them(tmp_path: Path) -> None:
    options = classify.Options(input="series", layout="rows", group="who")
    for name, text in (("with.csv", "v1,v2,label,who\n1,2,u,9\n"), ("without.csv", "v1,v2,label\n1,2,u\n")):
        (tmp_path / name).write_text(text)
        found = read_unlabelled(tmp_path / name, options, ["value"])
        assert found.series[0].values[:, 0].tolist() == [1, 2]
