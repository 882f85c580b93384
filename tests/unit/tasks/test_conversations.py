"""Messages in conversations: their order, their speakers, what is held out, and messages without a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tidegate.data.table import Table
from tidegate.errors import DataError, OptionError
from tidegate.nn import make_network
from tidegate.tasks import _conversations, classify
from tidegate.tasks._labels import NO_LABEL
from tidegate.tasks.base import Batch
from tidegate.train.forward import NetworkOutputs
from tidegate.train.job import TrainingJob

COLUMNS = {"conversation": "talk", "turn": "turn", "speaker": "who"}
QUICK: dict[str, Any] = {"hidden": 4, "embed": 4, "context": 5, "epochs": 1, "batch": 4, "refit_epochs": 0}
ROWS = [  # three messages of each of 12 conversations, in no order
    (f"{('hi', 'bye', 'well now')[turn]} {talk % 3}", "ab"[(talk + turn) % 2], f"t{talk}", str(turn + 1), "XYZ"[turn])
    for turn in (2, 0, 1)
    for talk in range(12)
]


def table(rows: list[tuple[str, ...]] = ROWS, path: str = "t.csv") -> Table:
    names = ("text", "label", "talk", "turn", "who")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return Table(path, columns, list(range(2, len(rows) + 2)), path)


def prepare(rows: list[tuple[str, ...]] = ROWS, valid: Table | None = None, **options: Any) -> Any:
    return classify.prepare(table(rows), valid, classify.Options(**{**COLUMNS, **QUICK, **options}))


def changed(row: int, **cells: str) -> list[tuple[str, ...]]:
    names = ("text", "label", "talk", "turn", "who")
    rows = list(ROWS)
    rows[row] = tuple(cells.get(name, cell) for name, cell in zip(names, ROWS[row], strict=True))
    return rows


def test_messages_are_in_the_order_of_their_turns() -> None:
    problem = prepare()
    first = next(part for part in problem.rows.parts if ROWS[part[0]][2] == "t0")
    assert [ROWS[i][3] for i in first] == ["1", "2", "3"]
    batch = problem.rows.batch(np.array([0]))
    assert batch.lengths.tolist() == [3]
    assert [each.tolist() for each in batch.inner] == [[2, 2, 3]]
    assert batch.targets["label"].tolist() == [0, 1, 0]
    assert batch.inputs["speaker"].tolist() == np.eye(3).tolist()
    ordered = _conversations.order_messages(table(changed(0, turn="-0.5")), classify.Options(**COLUMNS))
    assert [ROWS[i][3] for i in ordered[0]] == ["3", "1", "2"]


def test_the_order_of_the_rows_of_a_file_changes_nothing_but_the_order_of_conversations() -> None:
    shuffled = [ROWS[i] for i in np.random.default_rng(0).permutation(len(ROWS))]
    texts = {tuple(rows[i][0] for i in part) for rows in (ROWS, shuffled) for part in prepare(rows).rows.parts}
    assert len(texts) == 3


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ({"turn": ""}, "t.csv:2: column 'turn' is ''; expected a number such as -1.5 or 2e3"),
        ({"turn": "third"}, "t.csv:2: column 'turn' is 'third'; expected a number"),
        ({"turn": "1.0"}, "t.csv:14: conversation 't0' has turn 1 in line 2, too; number its messages in their order"),
        ({"talk": " "}, "t.csv:2: column 'talk' has no conversation; fill it in or leave the row out"),
        ({"who": ""}, "t.csv:2: column 'who' has no speaker; fill it in or leave the row out"),
        ({"who": "x" * 257}, "t.csv:2: a name has 257 characters; at most 256 bytes"),
        ({"text": " "}, "t.csv:2: the text in column 'text' is empty"),
    ],
)
def test_bad_rows_are_refused_with_their_place(cells: dict[str, str], wanted: str) -> None:
    with pytest.raises(DataError) as caught:
        prepare(changed(0, **cells))
    assert str(caught.value).startswith(wanted)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"conversation": "talk"}, "--conversation needs --turn"),
        ({"turn": "turn"}, "turn is given without a column of conversations"),
        ({"speaker": "who"}, "speaker is given without a column of conversations"),
        ({"context": 8}, "context is given without a column of conversations"),
        ({**COLUMNS, "prefix": 0.3}, "prefix trains early answers"),
        ({**COLUMNS, "group": "talk"}, "conversations are held out whole, so --group has no use here"),
        ({**COLUMNS, "input": "series"}, "--conversation is for messages, and input is 'series'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], wanted: str) -> None:
    with pytest.raises(OptionError, match=wanted):
        classify.prepare(table(), None, classify.Options(**options))


def test_whole_conversations_are_held_out_by_the_seed() -> None:
    def held_out(seed: int) -> list[int]:
        problem = prepare(seed=seed, hold_out=0.2)
        train, valid = (
            {ROWS[i][2] for row in rows for i in problem.rows.parts[row]}
            for rows in (problem.train_rows, problem.valid_rows)
        )
        assert not train & valid
        assert len(train | valid) == 12
        return sorted(valid)

    assert held_out(0) == held_out(0)
    assert len({tuple(held_out(seed)) for seed in range(5)}) > 1


def test_another_file_can_be_held_out_although_its_conversations_have_the_same_names() -> None:
    valid = table([row for row in ROWS if row[2] in ("t1", "t2")], "v.csv")
    problem = prepare(valid=valid)
    assert problem.provenance["judged_on"] == "6 messages of 2 conversations of another file"
    assert (len(problem.train_rows), len(problem.valid_rows)) == (12, 2)
    assert len(problem.rows.sides["speaker"]) == len(ROWS) + 6
    with pytest.raises(DataError, match="v.csv: has the same rows as t.csv"):
        classify.prepare(table(), Table("v.csv", table().columns, table().lines, "t.csv"), classify.Options(**COLUMNS))


def test_one_conversation_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="too few conversations to hold one out"):
        prepare([row for row in ROWS if row[2] == "t0"])


def test_long_conversations_are_trained_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_conversations, "LONGEST", 2)
    problem = prepare()
    assert sorted(problem.rows.lengths.tolist()) == [1] * 12 + [2] * 12
    assert len(np.unique(problem.groups)) == 12


def test_speakers_beyond_the_most_share_the_last_number() -> None:
    rows = [("hi", "ab"[i % 2], f"t{i // 12}", str(i % 12), f"s{i % 12}") for i in range(48)]
    problem = prepare(rows, hold_out=0.3)
    assert problem.inputs["speaker"] == {"kind": "category", "size": 8, "clock": "talk"}
    side = problem.rows.sides["speaker"][:12]
    assert side.argmax(1).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7]
    assert "speaker" not in prepare(speaker=None).inputs


def outputs_of(problem: Any, batch: Batch) -> Any:
    job = TrainingJob.__new__(TrainingJob)
    job.problem, job.options, job.task_module = problem, problem.options, classify
    weights = {name: np.asarray(value, np.float32) for name, value in problem.init_weights().items()}
    network = make_network(job.draft(weights, {}, {}))
    network.load_tensors(weights)
    forward = NetworkOutputs(network, problem, {})
    return forward.outputs(forward.run(batch), [batch.lengths])[0]


def test_a_message_without_a_label_is_context_and_no_more() -> None:
    unlabelled = [(text, "" if turn == "2" else label, *more, turn, who) for text, label, *more, turn, who in ROWS]
    problem = prepare(unlabelled)
    assert "12 rows without" in problem.summaries[0]
    batch = problem.rows.batch(np.arange(4))
    assert batch.targets["label"].tolist() == [0, NO_LABEL, 0, 1, NO_LABEL, 1] * 2
    assert batch.mask["label"].tolist() == [True, False, True] * 4
    outputs = outputs_of(problem, batch)
    changed = {"label": outputs["label"].detach().clone()}
    changed["label"][~torch.from_numpy(batch.mask["label"])] += torch.randn(4, 2)
    assert torch.equal(problem.loss(outputs, batch), problem.loss(changed, batch))
    with pytest.raises(DataError, match="column 'label' is empty in every row"):
        prepare([(text, "", *more) for text, _, *more in ROWS])


def test_conversations_without_any_label_are_left_out() -> None:
    problem = prepare([(text, "" if talk in ("t3", "t4") else label, talk, *more) for text, label, talk, *more in ROWS])
    assert len(problem.rows.parts) == 10


def test_messages_can_have_several_labels() -> None:
    rows = [(text, "a;b" if label == "a" else "", *more) for text, label, *more in ROWS]
    problem = prepare(rows, label_separator=";")
    batch = problem.rows.batch(np.arange(3))
    assert batch.targets["label"].shape == (9, 2)
    assert problem.loss(outputs_of(problem, batch), batch).item() > 0


def test_an_answer_reads_what_was_said_before_and_not_what_comes() -> None:
    problem = prepare()
    batch = problem.rows.batch(np.array([0]))
    before = outputs_of(problem, batch)["label"]
    x = batch.inputs["x"].copy()
    x[2] = x[2] % 3 + 1  # the second message
    after = outputs_of(problem, Batch({**batch.inputs, "x": x}, batch.lengths, batch.targets, inner=batch.inner))[
        "label"
    ]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True, False, False]
