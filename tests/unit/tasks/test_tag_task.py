"""The tagger's options, its data, its targets, its loss and its figures."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tidegate.cli import main
from tidegate.data.table import Table
from tidegate.errors import DataError, OptionError
from tidegate.tasks import _options, tag
from tidegate.tasks._tag_report import TagScores, score_tags
from tidegate.tasks._tagging import choose_tags, find_scheme, make_output
from tidegate.tasks.base import Predictions

WORDS = ["fly to new york", "cost to rome", "fly to rome", "list new york", "list rome", "cost to new york"]
TAGS = ["O O B-c I-c", "O O B-c", "O O B-c", "O B-c I-c", "O B-c", "O O B-c I-c"]
LABELS = ["flight", "fare", "flight", "flight", "flight", "fare"]
QUICK: dict[str, Any] = {"hidden": 8, "embed": 8}


def table(words: list[str] = WORDS, tags: list[str] = TAGS, labels: list[str] = LABELS, path: str = "t.csv") -> Table:
    columns = {"tokens": words, "tags": tags, "label": labels}
    return Table(path, columns, list(range(2, len(words) + 2)), path)


def prepare(source: Table | None = None, valid: Table | None = None, **options: Any) -> Any:
    return tag.prepare(source or table(), valid, tag.Options(**QUICK, **options))


def test_words_are_given_so_options_of_texts_are_gone() -> None:
    names = {field.name for field in fields(tag.Options)}
    assert names >= {"tokens", "tags", "label", "group", "characters", "fold", "min_count"}
    assert not names & {"text", "unit", "skip_bad"}
    assert tag.Options().tokenizer().kind == "space"


def test_an_older_name_of_an_option_gives_way_to_another_options_name(capsys: pytest.CaptureFixture[str]) -> None:
    """In a classifier --tokens is the older name of --unit; in a tagger it names a column."""
    assert "tokens" not in _options.renamed_fields(tag.Options)
    assert _options.restore_options(tag.Options, {"tokens": "words"}).tokens == "words"
    assert main(["fit", "tag", "no.csv", "--tokens", "words", "--out", "m.safetensors"]) == 2
    assert "no.csv" in capsys.readouterr().err


def test_outputs_share_the_last_layer() -> None:
    problem = prepare(label="label")
    assert problem.outputs["tags"]["part"] == [0, 3]
    assert problem.outputs["label"]["part"] == [3, 5]
    assert problem.layers[-1].width == 5
    alone = prepare()
    assert list(alone.outputs) == ["tags"]
    assert "part" not in alone.outputs["tags"]
    assert alone.layers[-1].width == 3


def test_characters_of_words_are_read_unless_the_user_says_no() -> None:
    assert prepare().inputs["x"]["features"] == ["prefix2", "prefix3", "suffix2", "suffix3", "shape"]
    assert prepare().rows.ids[0].shape == (4, 6)
    assert "features" not in prepare(characters=False).inputs["x"]
    assert prepare(characters=False).rows.ids[0].shape == (4,)


def test_a_batch_has_a_tag_for_each_step_and_a_label_for_each_row() -> None:
    batch = prepare(label="label").rows.batch(np.array([1, 0]))
    assert batch.targets["tags"].tolist() == [2, 2, 0, 2, 2, 0, 1]
    assert batch.targets["label"].tolist() == [0, 1]
    assert batch.lengths.tolist() == [3, 4]
    assert list(prepare().rows.batch(np.array([0])).targets) == ["tags"]


def test_the_first_step_of_a_long_word_has_its_tag() -> None:
    long = "a" * 150
    problem = prepare(table([*WORDS, f"fly {long}"], [*TAGS, "O B-c"], [*LABELS, "fare"]))
    assert problem.rows.batch(np.array([6])).targets["tags"].tolist() == [2, 0, 1, 1]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ([["O", "B-c", "I-c", "I-c"]], "bio"),
        ([["O", "I-c"]], None),
        ([["B-c", "I-d"]], None),
        ([["NN", "VB"]], None),
        ([["O", "B-c", "E-c"]], None),
        ([["B-c", "I-c"]] * 99 + [["O", "I-c"]], "bio"),  # a slip in a hundred
        ([["B-c", "I-c"]] * 90 + [["O", "I-c"]] * 10, None),
    ],
)
def test_the_scheme_is_found_in_the_data(tags: list[list[str]], scheme: str | None) -> None:
    assert find_scheme(tags) == scheme


def test_defaults_follow_the_number_of_rows() -> None:
    small, large = tag.Options().decide(4478, True), tag.Options().decide(13_084, True)
    assert (small.epochs, small.batch, small.hidden, small.refit_epochs) == (20, 32, 128, 0)
    assert (large.epochs, large.batch, large.hidden) == (12, 32, 256)
    assert tag.Options().decide(40, False).epochs * -(-36 // 8) >= 600
    assert tag.Options().decide(4478, False).refit_epochs == 5


def test_the_layer_that_looks_ahead_comes_before_the_recurrence() -> None:
    kinds = [[layer.kind for layer in prepare(lookahead=ahead).layers] for ahead in (None, 0)]
    assert kinds == [["embed", "conv", "recurrent", "pool", "dense"], ["embed", "recurrent", "pool", "dense"]]
    for ahead in (1, 2, 5):
        conv = prepare(lookahead=ahead).layers[1]
        assert (conv.look_ahead, conv.options()["width"]) == (ahead, ahead + 2)
    both = prepare(direction="both")
    assert [layer.kind for layer in both.layers] == ["embed", "bidirectional", "pool", "dense"]
    assert both.options.lookahead == 0


@pytest.mark.parametrize("ahead", [-1, 65, 1.5, "2"])
def test_an_impossible_look_ahead_is_refused(ahead: Any) -> None:
    with pytest.raises(OptionError, match=r"^lookahead is .*; (it must be 0 to 64|expected int)$"):
        tag.Options(lookahead=ahead)


def test_figures_are_of_repaired_tags() -> None:
    problem = prepare(label="label")
    names = problem.outputs["tags"]["labels"]
    assert names == ["B-c", "I-c", "O"]
    scores = np.array([[0.0, 2, 1], [2, 0, 1], [1, 2, 0]])  # greedy: I-c B-c I-c; the first may not be
    rows = {"tags": np.array([0, 1, 1]), "label": np.array([0, 1])}
    targets = {"tags": np.array([2, 0, 1]), "label": np.array([1, 1])}
    outputs = {"tags": scores, "label": np.array([[0.0, 1], [1, 0]])}
    figures = problem.measure(Predictions(2, outputs, targets, rows))
    assert figures == {"span_f1": 1.0, "tag_accuracy": 1.0, "accuracy": 0.5, "sentence_accuracy": 0.5}
    assert problem.rank(figures) == (0.75, 0.5)


def test_tags_without_spans_are_ranked_by_their_accuracy() -> None:
    problem = prepare(table(["a b"] * 8 + ["c d"] * 8, ["NN VB"] * 16, LABELS[:2] * 8))
    assert problem.metric == "tag_accuracy"
    assert problem.outputs["tags"]["scheme"] is None


def test_what_training_did_not_have_is_left_out_of_the_loss() -> None:
    torch = pytest.importorskip("torch")
    valid = table(["fly via oslo", "cost to rome"], ["O B-via O", "O O B-c"], ["-", "fare"], "v.csv")
    problem = prepare(valid=valid, label="label")
    batch = problem.rows.batch(np.array([6, 7]))
    assert batch.targets["tags"].tolist() == [2, -1, 2, 2, 2, 0]
    assert batch.targets["label"].tolist() == [-1, 0]
    outputs = {"tags": torch.zeros(6, 3), "label": torch.zeros(2, 2)}
    expected = np.log(3) + np.log(2)
    assert float(problem.loss(outputs, batch)) == pytest.approx(expected)
    assert float(problem.loss(outputs, batch, outputs)) == pytest.approx(expected)
    only = problem.rows.batch(np.array([6]))
    assert float(problem.loss({"tags": torch.zeros(3, 3), "label": torch.zeros(1, 2)}, only)) == pytest.approx(
        np.log(3)
    )


def test_what_training_did_not_have_is_counted_and_named() -> None:
    words, tags = ["fly via oslo", "cost to rome", "list oslo"], ["O B-via O", "O O B-c", "B-act B-via"]
    valid = table(words, tags, ["-", "fare", "fare"], "v.csv")
    problem = prepare(valid=valid, label="label")
    assert problem.notes[1][:2] == [
        "3 of 8 tags do not occur in training ('B-via', 'B-act'): they count as wrong, and nothing is learnt from them",
        "1 of 3 labels does not occur in training ('-'): it counts as wrong, and nothing is learnt from it",
    ]
    assert not any("not occur" in note for note in prepare(valid=valid).notes[0])
    known = table(["fly to oslo"], ["O O B-c"], ["fare"], "v.csv")
    assert prepare(valid=known, label="label").notes[1] == []


def test_each_source_is_described_by_its_own_tags_and_labels() -> None:
    valid = table(["list oslo"], ["O B-via"], ["fare"], "v.csv")
    first, second = prepare(valid=valid, label="label").summaries
    assert first.endswith("tags: column 'tags' (3 tags), label: column 'label' (2 labels)")
    assert second.endswith("tags: column 'tags' (2 tags), label: column 'label' (1 label)")


def test_a_report_counts_unseen_tags_and_labels() -> None:
    truth, known = [["B-a", "B-new"], ["O", "O"]], ["B-a", "O"]
    figures = score_tags([["B-a", "O"], ["O", "O"]], truth, known, (["x", "x"], ["x", "new"]), ["x"])
    assert (figures["unseen_tags"], figures["unseen_labels"]) == (1, 1)
    said = TagScores({**figures, "warning": ""}).report(100)
    assert "1 tag and 1 label unseen in training, counted as wrong" in said
    assert "unseen_labels" not in score_tags(truth, truth, known)


def test_the_output_of_a_file_chooses_the_same_tags() -> None:
    output = make_output(prepare(label="label").outputs["tags"], {}, {})
    assert choose_tags(output, np.array([[0, 2, 1], [2, 0, 1], [1, 2, 0]], np.float32)).tolist() == [2, 0, 1]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tags": ["O O", *TAGS[1:]]}, "t.csv:2: column 'tokens' has 4 tokens, column 'tags' has 2 tags"),
    ({"tags": [" ".join("O" for _ in row.split()) for row in TAGS]}, "column 'tags' has only one tag, 'O'"),
    ({"labels": ["flight"] * 6}, "column 'label' has only one class, 'flight'"),
]


@pytest.mark.parametrize(("columns", "message"), WRONG)
def test_wrong_data(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        prepare(table(**columns), label="label")
    assert message in str(error.value)


def test_a_label_is_refused_if_the_model_has_none() -> None:
    model = SimpleNamespace(document={"task": {"options": {}}}, outputs={"tags": None})
    with pytest.raises(OptionError, match="--label is for models that predict labels"):
        tag.score(SimpleNamespace(model=model), "t.csv", {"label": "intent"})
