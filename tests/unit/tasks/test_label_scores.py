"""What `score` says of classifiers: intervals, calibration, slices and the confusion matrix, on files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError, OptionError
from tidegate.layers import INPUT
from tidegate.outputs import Scores
from tidegate.plots import png
from tidegate.tasks import _classified_series, classify
from tidegate.tasks._label_report import LabelScores
from tidegate.tasks._metrics import score

LABELS = ["no", "yes"]
P = {"sure": 0.95, "likely": 0.7, "never": 0.1}  # of "yes", by the first word of a text


def answer(text: str, several: bool) -> Scores:
    """Answer by the first word, if there is one."""
    words = text.split()
    values = np.array([1 - P[words[0]], P[words[0]]], np.float32) if words else None
    return Scores(values, LABELS, "" if words else "the message has no word", multi_label=several)


def make_predictor(levels: bool = False, **options: Any) -> Any:
    """Make what stands for a predictor of texts or conversations."""
    several = "label_separator" in options

    def answers(rows: list[Any]) -> list[Any]:
        return [[answer(t, several) for t, _ in row] if levels else answer(row, several) for row in rows]

    document = {"task": {"options": options}, "provenance": {"data": {"sha256": "ab"}, "valid": None}}
    model = SimpleNamespace(
        document=document, levels=("message",) * levels, inputs={INPUT: SimpleNamespace(kind="text")}, labels=LABELS
    )
    return SimpleNamespace(model=model, answers=answers)


@pytest.fixture
def scored(tmp_path: Path) -> Callable[..., LabelScores]:
    """Return a function that scores the lines of a CSV file."""

    def run(lines: list[str], predictor: Any = None, **flags: str) -> LabelScores:
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
        return classify.score(predictor or make_predictor(), str(tmp_path / "t.csv"), flags)

    return run


ROWS = [
    "text,label,source",
    *["sure thing,yes,web"] * 12,
    *["likely,no,web"] * 3,
    *["never,no,phone"] * 5,
    "never,yes,",
]


def test_figures_have_intervals_and_a_calibration(scored: Callable[..., LabelScores]) -> None:
    found = scored(ROWS)
    m = found.as_dict()
    assert m["accuracy"] == pytest.approx(17 / 21)
    low, high = m["intervals"]["accuracy"]
    assert 0.5 < low < 17 / 21 < high < 1
    expected = (12 * 0.05 + 3 * 0.7 + abs(6 * 0.9 - 5)) / 21
    assert m["ece"] == pytest.approx(expected, abs=1e-6)
    assert [one["decisions"] for one in m["reliability"]] == [3, 6, 12]
    assert m["resampling"] == {
        "resamples": 1000,
        "of": "row",
        "units": 21,
        "column": None,
        "missing_column": None,
    }
    json.dumps(m, allow_nan=False)
    said = found.report(100)
    assert f"accuracy 0.8095 ({low:.4f} to {high:.4f})" in said
    assert "in brackets: 95 % intervals from 1,000 resamples of 21 rows" in said
    assert f"probabilities are {100 * expected:.1f} points off on average, mostly too high (mean 0.9" in said
    assert "0.667 to 0.733     3             0.700     0.000" in said
    assert said.index("calibration") < said.index("most frequent confusions") < said.index("precision")


def test_slices_are_sorted_by_rows_and_measured_as_files_of_their_own(scored: Callable[..., LabelScores]) -> None:
    found = scored(ROWS, by="source,label")
    slices = found.as_dict()["by"]
    assert list(slices) == ["source", "label"]
    assert {name: of["rows"] for name, of in slices["source"].items()} == {"web": 15, "phone": 5, "": 1}
    assert list(slices["source"]) == ["web", "phone", ""]
    alone = scored([ROWS[0], *(row for row in ROWS if row.endswith("web"))]).as_dict()
    for name in ("accuracy", "macro_f1", "log_loss", "ece"):
        assert slices["source"]["web"][name] == alone[name]
    assert slices["source"]["web"]["intervals"] == alone["intervals"]
    assert slices["source"][""]["intervals"] == {}
    lines = found.report(100).splitlines()
    start = lines.index("by source  rows  accuracy   95 % interval  macro F1  log loss")
    assert lines[start + 1].split()[:3] == ["web", "15", "0.800"]
    assert lines[start + 3].split() == ["(empty)", "1", "0.000", "0.000", "2.303"]


def test_a_column_of_many_values_is_refused_before_the_model_runs(scored: Callable[..., LabelScores]) -> None:
    predictor = make_predictor()
    predictor.answers = None
    lines = ["text,label,n", *(f"sure,yes,{i}" for i in range(51))]
    with pytest.raises(DataError, match=r"t.csv: column 'n' has 51 different values, and --by takes at most 50; name"):
        scored(lines, predictor, by="n")
    assert len(scored(lines[:51], by="n").as_dict()["by"]["n"]) == 50
    with pytest.raises(DataError, match="no column 'm'; the file has 'text', 'label', 'n'"):
        scored(lines, predictor, by="m")
    with pytest.raises(OptionError, match="--by is 'n,'; an entry is empty"):
        scored(lines, predictor, by="n,")


def test_numbers_and_booleans_of_a_parquet_file_are_values(tmp_path: Path) -> None:
    pq, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    columns = {"text": ["sure", "never"], "label": ["yes", "no"], "share": [0.5, 1.5], "new": [True, False]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = classify.score(make_predictor(), str(tmp_path / "t.parquet"), {"by": "share,new"}).as_dict()["by"]
    assert {name: list(of) for name, of in found.items()} == {"share": ["0.5", "1.5"], "new": ["false", "true"]}


def test_groups_of_training_are_resampled_where_the_file_has_them(scored: Callable[..., LabelScores]) -> None:
    lines = ["text,label,who", *["sure,yes,ann"] * 9, *["likely,no,bob"] * 9, "never,no,", "never,no, "]
    found = scored(lines, make_predictor(group="who"))
    rows = scored([line.rpartition(",")[0] for line in lines], make_predictor(group="who"))
    assert found.as_dict()["resampling"]["units"] == 4  # a row without a group is one by itself
    assert "resamples of 4 groups (column 'who'), whose rows depend on each other" in found.report(200)
    assert "without the column 'who', by which rows were grouped in training, they are too narrow" in rows.report(200)
    wide, narrow = (each.as_dict()["intervals"]["accuracy"] for each in (found, rows))
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])
    one = scored(
        [line for line in lines if "bob" not in line and not line.endswith((",", " "))], make_predictor(group="who")
    )
    assert one.as_dict()["intervals"] == {}
    assert "no intervals, because all rows are of 1 group (column 'who')" in one.report(200)
    assert scored(lines, make_predictor(group="who"), by="who").as_dict()["by"]["who"]["ann"]["rows"] == 9


def test_conversations_are_resampled_and_messages_without_a_label_left_out(scored: Callable[..., LabelScores]) -> None:
    lines = [
        "text,label,talk,turn,who",
        *(f"sure,{'yes' if i % 4 else ''},{i // 8},{i},{'ab'[i % 2]}" for i in range(32)),
    ]
    predictor = make_predictor(True, conversation="talk", turn="turn", speaker="who")
    m = scored(lines, predictor, by="who,turn").as_dict()
    assert m["rows"] == 24
    assert (m["resampling"]["of"], m["resampling"]["units"], m["resampling"]["column"]) == ("conversation", 4, "talk")
    assert {name: of["rows"] for name, of in m["by"]["who"].items()} == {"b": 16, "a": 8}
    assert sum(of["rows"] for of in m["by"]["turn"].values()) == 24


def test_several_labels_a_row(scored: Callable[..., LabelScores]) -> None:
    lines = ["text,label,source", *["sure,yes,web"] * 6, *["likely,no;yes,web"] * 4, "never,,tv", ",yes,tv"]
    found = scored(lines, make_predictor(label_separator=";"), by="source")
    m = found.as_dict()
    assert set(m["intervals"]) == {"subset_accuracy", "micro_f1", "macro_f1", "log_loss", "ece"}
    assert sum(one["decisions"] for one in m["reliability"]) == 22
    assert "confusion_matrix" not in m
    assert m["by"]["source"]["web"]["micro_f1"] == pytest.approx(20 / 24)
    said = found.report(100)
    assert "over all 22 decisions, one for each row and label" in said
    assert "by source  rows  micro F1" in said
    assert "label applies" in said


def test_the_confusion_matrix_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels, truth = [f"c{k}" for k in range(6)], rng.integers(0, 6, 400)
    p = rng.dirichlet(np.ones(6), 400)
    got = score(p, truth, labels)
    assert got["confusion_matrix"]["labels"] == labels
    assert got["confusion_matrix"]["matrix"] == metrics.confusion_matrix(truth, p.argmax(1)).tolist()
    assert got["confusion_matrix"]["more_rows"] == got["confusion_matrix"]["more_columns"] == []
    assert got["macro_f1"] == pytest.approx(metrics.f1_score(truth, p.argmax(1), average="macro"))
    assert got["log_loss"] == pytest.approx(metrics.log_loss(truth, p))


def test_unseen_labels_and_rows_without_an_answer_have_a_row_and_a_column_of_the_matrix(
    scored: Callable[..., LabelScores],
) -> None:
    m = scored(["text,label", "sure,yes", "sure,maybe", ",no", ",maybe"], unseen="wrong").as_dict()
    assert m["confusion_matrix"] == {
        "labels": LABELS,
        "matrix": [[0, 0, 1], [0, 1, 0], [0, 1, 1]],
        "more_rows": ["(unseen)"],
        "more_columns": ["(none)"],
    }
    assert m["confusions"] == [["(unseen)", "(none)", 1], ["(unseen)", "yes", 1], ["no", "(none)", 1]]


def test_a_file_of_rows_without_an_answer_has_no_calibration(
    scored: Callable[..., LabelScores], tmp_path: Path
) -> None:
    found = scored(["text,label", ",no", ",yes"])
    assert found.as_dict()["ece"] is None
    assert "calibration" not in found.report(80)
    pytest.importorskip("matplotlib")
    assert found.plot(str(tmp_path / "a.png"), False) == str(tmp_path / "a.png")


@pytest.mark.parametrize("options", [{}, {"label_separator": ";"}])
def test_a_picture_is_drawn(scored: Callable[..., LabelScores], tmp_path: Path, options: dict[str, str]) -> None:
    pytest.importorskip("matplotlib")
    found = scored(ROWS, make_predictor(**options))
    assert found.plot(str(tmp_path / "a.png"), False) == str(tmp_path / "a.png")
    with open(tmp_path / "a.png", "rb") as file:
        assert png.is_own_picture(file)


# ---- series


def read_series(path: Path, text: str, names: list[str], **options: Any) -> Any:
    """Read the series of a file with further columns, as `score --by` does."""
    path.write_text(text)
    made = classify.Options(label="kind", **options)
    columns = ["x"] if options.get("id") else ["value"]
    source, found = _classified_series.read_with_columns(str(path), made, columns, names)
    return source, found, _classified_series.find_units(source, made)


LONG = "id,kind,site,who,x\n1,a,n,p,1\n1,a,n,p,2\n2,b,s,q,3\n2,b,s,q,4\n3,b,n,p,5\n"


def test_a_column_of_series_has_a_value_for_each(tmp_path: Path) -> None:
    source, found, units = read_series(tmp_path / "t.csv", LONG, ["site", "kind", "who"], id="id", group="who")
    assert source.columns == ["x"]
    assert found == {"site": ["n", "s", "n"], "kind": ["a", "b", "b"], "who": ["p", "q", "p"]}
    assert units.number.tolist() == [0, 1, 0]
    rows = "kind,site,who,t0,t1\na,n,p,1,2\nb,s,q,3,4\n"
    source, found, units = read_series(tmp_path / "r.csv", rows, ["site", "who"], layout="rows")
    assert [one.values[:, 0].tolist() for one in source.series] == [[1, 2], [3, 4]]
    assert (found, units) == ({"site": ["n", "s"], "who": ["p", "q"]}, None)


def test_a_column_that_changes_within_a_series_or_is_read_by_the_model_is_refused(tmp_path: Path) -> None:
    text = LONG.replace("1,a,n,p,2", "1,a,s,p,2").replace(",who", ",w").replace(",w,", ",who,")
    with pytest.raises(DataError, match="--by: .*t.csv:3: column 'site' is 's', but series '1' has 'n' before"):
        read_series(tmp_path / "t.csv", text, ["site", "who"], id="id")
    with pytest.raises(OptionError, match="--by names 'x', a column of numbers that the model reads"):
        read_series(tmp_path / "t.csv", LONG, ["x"], id="id")
