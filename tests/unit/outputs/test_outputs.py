"""Every output turns a node's numbers into answers, or says why there are none."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tidegate import outputs
from tidegate.errors import ModelFileError
from tidegate.features.scaling import Scaling
from tidegate.features.series import SeriesTransform, Window
from tidegate.outputs import Answers, Scores
from tidegate.outputs.base import NOT_FINITE, Context, Output
from tidegate.outputs.forecast import Forecast
from tidegate.outputs.tags import Tags

NODE = {"from": "layers.4"}
LABELS = {**NODE, "at": "end", "labels": ["a", "b"], "scores": "given", "calibration": None}
ENTRIES: dict[str, dict[str, Any]] = {
    "alarm": {"kind": "alarm", **NODE, "at": "step", "columns": ["load"]},
    "events": {"kind": "events", **NODE, "at": "step", "labels": ["a", "b"], "scores": "given"},
    "labels": {"kind": "labels", **LABELS},
    "multilabel": {"kind": "multilabel", **LABELS, "threshold": 0.3},
    "tags": {"kind": "tags", **NODE, "at": "step", "labels": ["O", "B"], "scores": "given", "scheme": None},
    "vector": {"kind": "vector", **NODE, "at": "end"},
    "values": {"kind": "values", **NODE, "at": "step", "labels": None},
    "forecast": {
        "kind": "forecast",
        **NODE,
        "at": "step",
        "of": "x",
        "columns": ["load"],
        "horizon": 1,
        "quantiles": [0.1, 0.9],
        "head": "direct",
    },
}
SOURCE = SimpleNamespace(transform=SeriesTransform(("load",), ("past",), window=Window(4, spread="window")))
SCALING = Scaling(np.array([[10.0]]), np.array([[2.0]]), np.zeros((1, 1, 1)))


def parse(of_kind: str, /, **changes: Any) -> Output:
    return outputs.parse("y", ENTRIES[of_kind] | changes, 2 if "part" not in changes else 5, {"x": SOURCE})


def floats(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


@pytest.mark.parametrize("kind", ENTRIES)
def test_an_output_answers_or_says_why_not(kind: str) -> None:
    output, context = parse(kind), Context(SCALING)
    assert output.to_json() == ENTRIES[kind]
    assert output.at == ENTRIES[kind]["at"]
    answer = output.answer(floats(0.25, 0.75), context)
    assert answer.values is not None
    assert answer.reason == ""
    assert "reason" not in answer.as_dict()
    assert output.convert(floats(0.25, 0.75)[None], SCALING).shape == (1, *output.shape)
    none = output.answer(floats(0, 0), context, "no step yet")
    assert (none.values, none.reason, none.as_dict()["reason"]) == (None, "no step yet", "no step yet")
    for bad in (np.nan, np.inf):
        lost = output.answer(floats(0.5, bad), context)
        assert (lost.values, lost.reason) == (None, NOT_FINITE)
        assert None in lost.as_dict().values()
    for one in (answer, none):
        assert pickle.loads(pickle.dumps(one)).as_dict() == one.as_dict()


@pytest.mark.parametrize("kind", ENTRIES)
def test_a_part_of_a_node_is_its_own(kind: str) -> None:
    whole, part = parse(kind), parse(kind, part=[2, 4])
    numbers = floats(9, 9, 0.25, 0.75, 9)
    found = part.answer(numbers, Context(SCALING))
    assert found.as_dict() == whole.answer(numbers[2:4], Context(SCALING)).as_dict()


def test_tokens_are_written_when_they_are_first_read() -> None:
    entry = {"kind": "tokens", "from": "reply", "at": "end", "labels": ["a", "b"]}
    output, asked = outputs.parse("y", entry, 2, {}), []
    assert output.to_json() == entry
    with pytest.raises(
        ModelFileError, match=r"outputs\.y\.from: reads a node; an output of kind tokens needs a decoder"
    ):
        output.answer(floats(0, 0), Context())
    output.decoder = SimpleNamespace(end=1)  # type: ignore[assignment]

    def write() -> Any:
        asked.append(1)
        return np.array([0, 0, 1])

    answer = output.answer(floats(0, 0), Context(roll=write))
    assert not asked
    assert answer.as_dict() == pickle.loads(pickle.dumps(answer)).as_dict() == {"tokens": ["a", "a"], "complete": True}
    assert asked == [1]
    cut = output.answer(floats(0, 0), Context(roll=lambda: np.array([0])))
    assert (cut.as_dict(), repr(cut)) == ({"tokens": ["a"], "complete": False}, "Tokens('a')")
    for reason, shown in (
        ("no step yet", "no step yet"),
        ("", "this graph runs without its decoder, so nothing is written"),
    ):
        none = output.answer(floats(0, 0), Context(), reason)
        assert (none.values, none.as_dict()) == (None, {"tokens": None, "reason": shown})


def test_every_kind_is_tested_here() -> None:
    assert {*ENTRIES, "tokens"} == set(outputs.kinds())


def test_scores_are_shortest_decimals_and_a_copy() -> None:
    numbers = floats(0.1, 0.9)
    scores = parse("labels").answer(numbers, Context())
    assert scores.as_dict() == {"label": "b", "score": 0.9, "scores": {"a": 0.1, "b": 0.9}}
    assert scores.as_dict(all_scores=False) == {"label": "b", "score": 0.9}
    assert isinstance(scores, Scores)
    assert scores.values is not numbers


def test_several_labels_are_those_from_the_threshold_on() -> None:
    output = parse("multilabel")
    assert output.answer(floats(0.3, 0.2), Context()).as_dict(False) == {"label": "a", "score": 0.3, "labels": ["a"]}
    assert output.select_labels(np.array([[0.2, 0.2], [0.4, 0.3]])) == [[], ["a", "b"]]


def test_a_rule_leaves_the_label_out_and_says_why() -> None:
    entry = {"reject": {"score": "max_probability", "threshold": 0.75}}
    output = parse("labels", **entry)
    assert output.to_json()["reject"] == entry["reject"]
    sure, unsure = (output.answer(floats(*numbers), Context()) for numbers in ((0.25, 0.75), (0.375, 0.625)))
    assert sure.as_dict() == parse("labels").answer(floats(0.25, 0.75), Context()).as_dict()
    reason = "out of scope: the largest probability is 0.625, below 0.75"
    assert unsure.as_dict() == {"label": None, "score": 0.625, "scores": {"a": 0.375, "b": 0.625}, "reason": reason}
    assert unsure.as_dict(all_scores=False) == {"label": None, "score": 0.625, "reason": reason}
    assert (unsure.label, unsure.score, unsure.predicted_labels) == (None, 0.625, [])
    assert unsure.top(1) == [("b", 0.625)]
    assert repr(unsure) == f"Scores(b: 0.625, a: 0.375; {reason})"
    assert output.select_labels(np.stack([sure.values, unsure.values])) == [["b"], []]
    assert Answers({"y": unsure}).reason == reason
    for bad in ("no step yet", ""):
        none = output.answer(floats(0.5, np.nan), Context(), bad)
        assert (none.label, none.score, none.reason) == (None, None, bad or NOT_FINITE)
    for one in (sure, unsure):
        assert pickle.loads(pickle.dumps(one)).as_dict() == copy.deepcopy(one).as_dict() == one.as_dict()
    assert output.describe() == [("no label", "where the largest probability is below 0.75")]


def test_the_entropy_is_of_the_scores_that_logits_become() -> None:
    output = parse("labels", scores="logits", reject={"score": "entropy", "threshold": 0.5})
    assert output.answer(floats(0, 3), Context()).label == "b"
    assert output.answer(floats(0, 0.5), Context()).reason == (
        "out of scope: the entropy of the probabilities is 0.6628 nats, above 0.5"
    )
    assert output.answer(floats(0, 200), Context()).label == "b"  # a probability of 0 has no part in the entropy
    assert output.describe_numbers().startswith("logits, whose softmax gives the probabilities of the labels; an input")


def test_logits_become_probabilities() -> None:
    zero = floats(0, 0)
    for kind in ("labels", "multilabel", "tags"):
        assert parse(kind, scores="logits").convert(zero[None]).tolist() == [[0.5, 0.5]]
        answer = parse(kind, scores="logits").answer(zero, Context())
        assert (answer.values.ravel().tolist(), answer.values is answer.values) == ([0.5, 0.5], True)
    large = parse("labels", scores="logits").convert(floats(1000, 0))
    assert (large.tolist(), large.dtype) == ([1, 0], np.float32)


def test_tags_of_several_steps() -> None:
    tags = parse("tags").answer(np.array([[0.25, 0.75], [1, 0]], np.float32), Context())
    assert isinstance(tags, Tags)
    assert (tags.tags, tags.scores, repr(tags)) == (["B", "O"], [0.75, 1.0], "Tags(B O)")
    assert tags.as_dict()["all_scores"] == [{"O": 0.25, "B": 0.75}, {"O": 1.0, "B": 0.0}]
    assert parse("tags").answer(floats(0.25, 0.75), Context()).as_dict(False) == {"tags": ["B"], "scores": [0.75]}


def test_a_forecast_is_in_the_units_of_the_data_and_in_order() -> None:
    forecast = parse("forecast").answer(floats(1, -1), Context(SCALING))
    assert isinstance(forecast, Forecast)
    assert forecast.values is not None
    assert forecast.values.tolist() == [[[8.0, 12.0]]]
    lazy = parse("forecast", head="autoregressive").answer(
        floats(0, 0), Context(roll=lambda: np.full((1, 1, 2), np.nan))
    )
    assert (lazy.values, lazy.reason) == (None, NOT_FINITE)


def make_lazy(kind: str, convert: Any) -> Any:
    """Make an answer of two numbers that this function makes from zeros, when they are first read."""
    if kind == "forecast":
        return Forecast(lambda: convert(np.zeros((1, 1, 2))), [0.1, 0.9], ["load"])
    if kind == "tags":
        return Tags(np.zeros((1, 2), np.float32), ["O", "B"], convert=convert)
    return Scores(np.zeros(2, np.float32), ["a", "b"], convert=convert)


LAZY = pytest.mark.parametrize("kind", ["labels", "tags", "forecast"])


@LAZY
def test_threads_that_read_an_answer_at_once_see_the_same_numbers(kind: str) -> None:
    started = Barrier(4)

    def convert(values: Any) -> Any:
        started.wait(30)  # every thread is inside before one is done
        return values + 1

    answer = make_lazy(kind, convert)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: answer.as_dict(), range(4)))
    assert found == [answer.as_dict()] * 4
    assert set(answer.values.ravel().tolist()) == {1.0}


@LAZY
def test_an_answer_whose_conversion_failed_can_be_read_later(kind: str) -> None:
    failures = [KeyboardInterrupt, MemoryError]

    def convert(values: Any) -> Any:
        if failures:
            raise failures.pop()
        return values + 1

    answer = make_lazy(kind, convert)
    with pytest.raises(MemoryError):
        _ = answer.reason
    with pytest.raises(KeyboardInterrupt):
        copy.copy(answer)
    assert (answer.values.ravel().tolist(), answer.reason) == ([1.0, 1.0], "")


@LAZY
def test_copies_of_an_answer_have_its_numbers_converted_once(kind: str) -> None:
    made = [copy.copy, copy.deepcopy, lambda answer: pickle.loads(pickle.dumps(answer))]
    for each in made:
        answer = make_lazy(kind, lambda values: values + 1)
        again = each(answer)
        assert type(again) is type(answer)
        assert again.as_dict() == answer.as_dict()
        assert again.values.ravel().tolist() == [1.0, 1.0]


def test_several_answers_are_a_mapping() -> None:
    answers = Answers(
        {"label": parse("labels").answer(floats(0, 1), Context()), "slots": Tags(None, ["O"], "no step yet")}
    )
    assert (list(answers), len(answers), "label" in answers, answers.keys()) == (
        ["label", "slots"],
        2,
        True,
        [*answers],
    )
    assert answers.reason == "no step yet"
    assert answers.as_dict(False)["slots"] == {"tags": None, "scores": None, "reason": "no step yet"}
    assert dict(answers.items())["label"].as_dict()["label"] == "b"
    assert answers.values["slots"] is None
    assert pickle.loads(pickle.dumps(answers)).as_dict() == answers.as_dict()


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("labels", {"kind": "tale"}, "outputs.y.kind: is 'tale'; expected one of alarm, events, forecast, labels"),
        ("labels", {"at": "step"}, "outputs.y.at: is 'step'; expected 'end'"),
        ("labels", {"labels": ["a"]}, "outputs.y.labels: there are 1; the output has 2 numbers"),
        ("labels", {"scores": "none"}, "outputs.y.scores: is 'none'; expected one of"),
        ("labels", {"calibration": {"factor": 0.0}}, "outputs.y.calibration.factor: is 0.0; expected a number above 0"),
        ("labels", {"part": [3, 3]}, r"outputs.y.part\[1\]: is 3; expected an integer of 4 to 5"),
        ("multilabel", {"threshold": 1}, "outputs.y.threshold: is 1; expected a number between 0 and 1"),
        ("multilabel", {"reject": {"score": "entropy", "threshold": 1.0}}, "outputs.y: unknown key 'reject'"),
        ("labels", {"reject": None}, "outputs.y.reject: is None; expected an object"),
        (
            "labels",
            {"reject": {"score": "entropy"}},
            "outputs.y.reject: the key 'threshold' is missing",
        ),
        (
            "labels",
            {"reject": {"score": "margin", "threshold": 0.5}},
            "outputs.y.reject.score: is 'margin'; expected one of entropy, max_probability",
        ),
        ("labels", {"reject": {"score": ["entropy"], "threshold": 0.5}}, r"outputs.y.reject.score: is \['entropy'\]"),
        (
            "labels",
            {"reject": {"score": "entropy", "threshold": 1}},
            "outputs.y.reject.threshold: is 1; expected a number of at least 0.0",
        ),
        (
            "labels",
            {"reject": {"score": "entropy", "threshold": -0.5}},
            "outputs.y.reject.threshold: is -0.5",
        ),
        ("alarm", {"columns": []}, "outputs.y.columns"),
        ("alarm", {"columns": ["a", "b"]}, "outputs.y.columns"),
        ("alarm", {"part": [0, 1]}, "outputs.y: an alarm has a score and the parts of it; its node gives 1 number"),
        ("tags", {"labels": ["O", "O"]}, "outputs.y.labels: 'O' appears twice"),
        ("values", {"labels": [""]}, "outputs.y.labels: is"),
        ("forecast", {"of": "z"}, "outputs.y.of: is 'z'; expected the name of an input of kind 'series'"),
        ("forecast", {"columns": ["heat"]}, "outputs.y.columns: is .*; expected names of past columns of inputs.x"),
        ("forecast", {"quantiles": [0.9, 0.1]}, "outputs.y.quantiles: are .*; each must be greater"),
        ("forecast", {"horizon": 2}, "outputs.y: needs 4 numbers; its node gives 2"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        parse(kind, **changes)


def test_large_numbers_are_finite() -> None:
    huge = floats(3e38, -3e38)
    assert parse("values").answer(huge, Context()).values is not None
    wide = Scaling(np.array([[0.0]]), np.array([[3e38]]), np.zeros((1, 1, 1)))
    assert parse("forecast").answer(huge, Context(wide)).values is not None
