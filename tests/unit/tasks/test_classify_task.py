"""The classify task: rows, defaults that depend on the data, layers and metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import cells, layers, tasks
from tidegate.data.table import Table
from tidegate.errors import DataError, OptionError
from tidegate.layers.recurrent import Recurrent
from tidegate.tasks import _messages, classify
from tidegate.tasks._metrics import score
from tidegate.tasks._options import make_options, restore_options
from tidegate.tasks.base import Problem


def table(texts: list[str], labels: list[str]) -> Table:
    return Table("t.csv", {"text": texts, "label": labels}, list(range(2, len(texts) + 2)), "")


def make_problem(texts: list[str], labels: list[str], **values: Any) -> Problem:
    return classify.prepare(table(texts, labels), None, classify.Options(**values))


def test_tasks_are_found_by_listing() -> None:
    assert {"classify", "forecast"} <= set(tasks.names())
    with pytest.raises(OptionError, match="unknown task 'clasify'; choose one of classify, detect, encode, forecast"):
        tasks.load("clasify")


def test_labels_are_sorted_and_targets_index_them() -> None:
    rows = table(["a b", "c", "d"], ["y", "x", "y"])
    targets, labels = classify.read_targets(rows, classify.Options())
    assert labels == ["x", "y"]
    assert targets.tolist() == [1, 0, 1]
    assert _messages.tokenize_rows(rows, classify.Options())[0] == [b"a", b"b"]


def test_an_unseen_label_is_an_error_or_wrong_as_asked() -> None:
    rows = table(["a", "b"], ["x", "new"])
    with pytest.raises(DataError, match="t.csv:3: label 'new' was not seen in training.*--unseen wrong"):
        classify.read_targets(rows, classify.Options(), ["x", "y"])
    assert classify.read_targets(rows, classify.Options(), ["x", "y"], "wrong")[0].tolist() == [0, -1]


def test_a_text_without_a_token_names_its_line() -> None:
    with pytest.raises(DataError, match="t.csv:3: the text in column 'text' is empty"):
        make_problem(["a", " \t"], ["x", "y"])
    with pytest.raises(DataError, match="t.csv:2: the text in column 'text' has no word"):
        make_problem(["\u200b", "a"], ["x", "y"])


def test_what_the_user_sets_is_kept_and_the_rest_decided() -> None:
    got = make_problem([f"a b {i}" for i in range(50)], ["x", "y"] * 25, epochs=3).options
    assert got.epochs == 3
    assert got.batch is not None
    assert got.patience is not None


def test_an_unseen_label_counts_as_wrong_and_is_left_out_of_the_log_loss() -> None:
    got = score(np.array([[0.8, 0.2], [0.3, 0.7]]), [0, -1], ["a", "b"])
    assert got["accuracy"] == 0.5
    assert got["unseen"] == 1
    assert got["log_loss"] == pytest.approx(-np.log(0.8))
    assert got["confusions"] == [["(unseen)", "b", 1]]


def test_every_confusion_is_listed() -> None:
    labels = [f"label {i}" for i in range(60)]
    got = score(np.roll(np.eye(60), 1, axis=1), list(range(60)), labels)
    assert sorted(got["confusions"]) == sorted([labels[i], labels[(i + 1) % 60], 1] for i in range(60))


def test_figures_equal_the_textbooks() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    p = rng.dirichlet([1, 1, 1], 200)
    said = p.argmax(1)
    got = score(p, list(truth), ["a", "b", "c"])
    assert got["accuracy"] == pytest.approx((said == truth).mean())
    f1 = []
    for k, name in enumerate("abc"):
        tp, fp, fn = (
            ((said == k) & (truth == k)).sum(),
            ((said == k) & (truth != k)).sum(),
            ((said != k) & (truth == k)).sum(),
        )
        f1.append(2 * tp / (2 * tp + fp + fn))
        assert got["labels"][name]["f1"] == pytest.approx(f1[-1])
    assert got["macro_f1"] == pytest.approx(np.mean(f1))
    assert got["log_loss"] == pytest.approx(-np.log(p[np.arange(200), truth]).mean())


def test_unknown_options_name_the_nearest() -> None:
    with pytest.raises(OptionError, match="unknown option 'epoch'; did you mean 'epochs'"):
        make_options(classify.Options, {"epoch": 3})


def test_orthogonal_starts_per_gate(tmp_path: Path) -> None:
    gru = Recurrent(inputs=4, size=4, tape=cells.load("gru").tape)
    R = gru.init(np.random.default_rng(0), "R", {})
    assert R.shape == (12, 4)
    for k in range(3):
        block = R[4 * k : 4 * k + 4].astype(np.float64)
        assert np.allclose(block @ block.T, np.eye(4), atol=1e-6)


def problem_of_defaults(**values: Any) -> Problem:
    return make_problem(
        [f"a b {i}" for i in range(20)], ["x", "y"] * 10, hidden=6, embed=5, linear="off", subwords=0, **values
    )


@pytest.mark.parametrize(
    ("values", "kinds", "pooled"),
    [
        ({}, ["recurrent"], 6),
        ({"conv": 3}, ["conv", "recurrent"], 6),
        ({"direction": "both"}, ["bidirectional"], 12),
        ({"direction": "both", "conv": 1, "depth": 2}, ["conv", "bidirectional", "norm", "bidirectional"], 12),
        ({"direction": "both", "cell": "lstm", "dialect": "projection=yes", "project": 4}, ["bidirectional"], 8),
        ({"cell": "mingru", "dialect": "norm=layer", "direction": "both"}, ["bidirectional"], 12),
    ],
)
def test_the_layers_of_each_option_hold_together(values: dict[str, Any], kinds: list[str], pooled: int) -> None:
    found = problem_of_defaults(**values)
    made = found.layers
    assert [layer.kind for layer in made] == ["embed", *kinds, "pool", "dense", "softmax"]
    read, width, shapes = {name: tape for layer in made for name, tape in layer.tapes.items()}, None, {}
    for layer in made:
        assert layers.parse(layer.kind, layer.to_json(), width, read) == layer
        assert set(layer.shapes()) == set(layer.tensors)
        shapes |= {layer.tensors[role]: shape for role, shape in layer.shapes().items()}
        if layer.is_pool:
            assert width == pooled
        width = layer.width
    begun = found.init_weights()
    assert {name: value.shape for name, value in begun.items()} == shapes
    if found.options.direction == "both":
        ways = [begun[f"layers.{1 + bool(found.options.conv)}.{way}.W"] for way in ("forward", "backward")]
        assert not np.array_equal(*ways)


def test_the_width_of_a_projection_is_for_any_cell_that_has_one(tmp_path: Path) -> None:
    cell = tmp_path / "mine.py"
    cell.write_text(
        "GATES, RECURRENT, STATE = ('n',), ('n',), {'h': ('P',)}\n"
        "def step(op, x, R, p, s):\n"
        "    h = R.project(op.tanh(x.n + R.n(s.h)))\n"
        "    return h, s.replace(h=h)\n"
    )
    made = problem_of_defaults(cell=str(cell), project=4).layers
    assert made[1].project == made[2].size == 4
    with pytest.raises(OptionError, match="project is 4, and the cell lstm has no projection"):
        problem_of_defaults(cell="lstm", project=4)


def test_a_file_without_the_newer_options_is_read_by_their_defaults() -> None:
    old = restore_options(classify.Options, {"text": "message", "cell": "gru", "prefix": 0.3})
    assert (old.direction, old.conv, old.prefix) == ("causal", None, 0.3)
