"""Results of decoders: the same of whole inputs, streams and pools, in pieces of any size, and in states and forks."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import cells, decode
from tidegate.decode.viterbi import FORBIDDEN
from tidegate.document import assemble
from tidegate.errors import ModelFileError, StateError
from tidegate.features.series import SeriesTransform, Window
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.runtime import Predictor, State
from tidegate.verify.samples import series_sample

TAGS = ["B-city", "B-day", "I-city", "I-day", "O"]
PATH = {"transitions": "path.transitions", "start": "path.start", "end": "path.end"}
VITERBI = {"kind": "viterbi", "part": [0, 5], "tensors": PATH, "options": {"look_ahead": 3}}
THRESHOLD = {"kind": "threshold", "part": [0, 5], "options": {"on": 0.5, "off": -0.25, "least": 2}}
MAJORITY = {"kind": "majority", "part": [0, 5], "options": {}}
BIO = {"kind": "bio", "part": [0, 5], "options": {"labels": TAGS}}
TAGGED = {"kind": "tags", "at": "step", "from": "path", "labels": TAGS, "scores": "logits", "scheme": None}
EVENTS = {"kind": "events", "at": "step", "from": "path", "labels": TAGS, "scores": "logits"}
LABEL = {
    "kind": "labels",
    "at": "end",
    "labels": ["no", "yes"],
    "scores": "logits",
    "calibration": None,
    "part": [5, 7],
}
ROWS = [np.random.default_rng(k).integers(0, 20, 1 + k).astype(np.int32) for k in range(9)]
DECODERS = {
    "viterbi": (VITERBI, TAGGED),
    "threshold": (THRESHOLD, EVENTS),
    "majority": (MAJORITY, TAGGED),
    "bio": (BIO, TAGGED),
}


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parents[2] / "toy_decoders"
    monkeypatch.setattr(decode, "__path__", [*decode.__path__, str(folder)])


def make(kind: str, ahead: int = 0, both: bool = False, labelled: bool = True, **changes: Any) -> Model:
    """Make a model of random weights whose numbers of each step a decoder reads, and perhaps a label of each row."""
    entry, output = DECODERS[kind]
    builder, random = Builder(None), np.random.default_rng(3)
    builder.add("embed", rows=20, size=8)
    if ahead:
        builder.add("conv", size=6, width=ahead + 2, ahead=ahead, activation="relu")
    builder.recurrence(cells.load("gru"), 5, None, both)
    builder.add("dense", size=7, activation="none")
    tensors = {
        name: random.standard_normal(shape).astype(np.float32)
        for layer in builder.layers
        for name, shape in zip(layer.tensors.values(), layer.shapes().values(), strict=True)
    }
    if kind == "viterbi":
        shapes = {"transitions": (5, 5), "start": (5,), "end": (5,)}
        tensors |= {PATH[role]: random.standard_normal(shape).astype(np.float32) for role, shape in shapes.items()}
        tensors[PATH["start"]][2:4] = FORBIDDEN
    outputs = {"found": output, **({"label": LABEL} if labelled else {})}
    inputs = {"x": {"kind": "ids", "size": 20}}
    return Model(assemble("tag", {}, inputs, builder.layers, outputs, {}, {"path": {**entry, **changes}}), tensors)


def results(answer: Any) -> list[Any]:
    """Return what an answer says of its steps, with the scores."""
    one = answer["found"].as_dict()
    return list(zip(one.get("tags") or one["active"], one["all_scores"], strict=True))


CASES = pytest.mark.parametrize(
    ("kind", "ahead", "both"),
    [("viterbi", 0, False), ("viterbi", 2, False), ("viterbi", 0, True)]
    + [(kind, ahead, False) for kind in ("threshold", "majority", "bio") for ahead in (0, 2)],
)


@CASES
@pytest.mark.parametrize("size", [1, 2, 100])
def test_streams_and_pools_give_the_results_of_the_whole(kind: str, ahead: int, both: bool, size: int) -> None:
    predictor = Predictor(make(kind, ahead, both), "base", threads=1)
    whole = predictor.answers(ROWS)
    stream, pool = predictor.stream(), predictor.pool()
    for row, expected in zip(ROWS, whole, strict=True):
        found: list[list[Any]] = [[], []]
        for at in range(0, len(row), size):
            piece, end = row[at : at + size], at + size >= len(row)
            found[0] += stream.push(piece, end, per_step=True)
            found[1] += pool.push([("a", piece, end)], per_step=True)[0]
            if not end:
                assert pool.state("a") == stream.state
                restored = predictor.stream()
                restored.restore(State.from_bytes(stream.state.to_bytes()))
                stream, pool = pickle.loads(pickle.dumps(restored)), copy.copy(pool)
        for answers in found:
            assert [one for answer in answers for one in results(answer)] == results(expected)
            named = kind == "viterbi" or ahead
            assert [one.step for one in answers] == [t if named else None for t in range(len(row))]
            assert answers[-1]["label"].values.tobytes() == expected["label"].values.tobytes()


@pytest.mark.parametrize("ahead", [0, 2])
def test_the_end_decides_what_is_left_wherever_it_stands(ahead: int) -> None:
    predictor = Predictor(make("viterbi", ahead), "base", threads=1)
    for row, expected in zip(ROWS, predictor.answers(ROWS), strict=True):
        stream, pool = predictor.stream(), predictor.pool()
        early = [one for answer in stream.push(row, per_step=True) for one in results(answer)]
        pool.push([("a", row)])
        before = pool.scores("a")
        assert str(before) == str(stream.scores) == str(stream.fork().scores)
        if early:
            assert (before.step, results(before)) == (len(early) - 1, early[-1:])
        else:
            assert before.step is None
            assert before["found"].reason
        fork = stream.fork()
        late = [one for answer in stream.push(row[:0], True, per_step=True) for one in results(answer)]
        assert late == [one for answer in pool.end("a", per_step=True) for one in results(answer)]
        assert early + late == results(expected)
        end = fork.end()
        assert (end.step, results(end)) == (len(row) - 1, results(expected)[-1:])


def test_labels_of_a_row_come_while_its_tags_wait() -> None:
    predictor = Predictor(make("viterbi"), "base", threads=1)
    answer: Any = predictor.stream().push(ROWS[0])
    assert answer["found"].as_dict() == {
        "tags": None,
        "scores": None,
        "reason": "waiting for later steps, which decide between the paths that are left",
    }
    assert answer["label"].label in ("no", "yes")


@pytest.mark.parametrize("kind", DECODERS)
def test_a_model_with_this_output_alone(kind: str) -> None:
    predictor = Predictor(make(kind, labelled=False), "base", threads=1)
    whole: Any = predictor.answers(ROWS[-1:])[0]
    answers = predictor.stream().push(ROWS[-1], True, per_step=True)
    key = "active" if kind == "threshold" else "tags"
    assert [one for answer in answers for one in answer.as_dict()[key]] == whole.as_dict()[key]
    assert len(answers) == len(ROWS[-1])


@pytest.mark.parametrize("count", [2, 40])
@pytest.mark.parametrize("kind", DECODERS)
def test_steps_of_many_streams_are_those_of_each(kind: str, count: int) -> None:
    predictor, random = Predictor(make(kind), "base", threads=1), np.random.default_rng(count)
    pool, streams = predictor.pool(), [predictor.stream() for _ in range(count)]
    for at in range(8):
        ids = random.permutation(count) if at % 3 else random.integers(0, count, count)  # some twice, some not at all
        x = random.integers(0, 20, count).astype(np.int32)
        pool.step(ids.tolist(), x)
        for i, step in zip(ids.tolist(), x, strict=True):
            streams[i].push(np.array([step]))
    assert all(pool.state(i) == streams[i].state for i in range(count) if i in pool)


def test_the_state_names_what_a_decoder_remembers() -> None:
    predictor = Predictor(make("viterbi"), "base")
    stream, model = predictor.stream(), predictor.model
    names = ["scores", "paths", "pending", "decided", "numbers"]
    assert list(stream.state.arrays)[-5:] == [f"decoders.path.{name}" for name in names]
    assert stream.state.block.nbytes == model.state_bytes + 24 + 80 + 8 + 8 + 80
    assert model.schema_hash != make("viterbi", options={"look_ahead": 4}).schema_hash
    assert model.weights_hash != make("viterbi", options={"look_ahead": 4}).weights_hash


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("paths", 5, "decoders.path.paths is 5; expected 0 to 4"),
        ("pending", -1, "decoders.path.pending is -1; expected 0 to 3"),
        ("decided", 4, "decoders.path.decided and pending are 5 together; expected at most 4"),
    ],
)
def test_a_state_that_no_decoder_made_is_refused(name: str, value: int, message: str) -> None:
    stream = Predictor(make("viterbi"), "base").stream()
    stream.push(ROWS[0])
    good = stream.state
    block = good.block.copy()
    (place,) = (array["offset"] for array in good.schema if array["name"] == f"decoders.path.{name}")
    block[place : place + 4] = np.array([value], np.int32).view(np.uint8)
    bad = State(block, good.schema, good.output, b"", good.schema_hash, good.weights_hash)
    with pytest.raises(StateError, match=message):
        stream.restore(bad)


def test_a_new_kind_is_one_file() -> None:
    assert "majority" in decode.kinds()
    decoder = make("majority").outputs["found"].decoder
    assert decoder is not None
    values = np.eye(5, dtype=np.float32)[[0, 1, 0, 2, 2]]
    assert decoder.decode(values).tolist() == [0, 0, 0, 0, 2]
    with pytest.raises(ModelFileError, match=r"decoders\.path\.options: unknown key 'of'"):
        make("majority", options={"of": 3})


def change(document: dict[str, Any], *path: Any) -> None:
    *keys, last, value = path
    for key in keys:
        document = document[key]
    document[last] = value


BEAM = {"begin": 0, "end": 1, "width": 2, "most": 9, "length_penalty": 0.0}
PLACE, FOUND = ("decoders", "path"), ("outputs", "found")
WRONG: list[tuple[tuple[Any, ...], str]] = [
    (
        (*PLACE, "kind", "astar"),
        "decoders.path.kind: is 'astar'; expected one of adaptive_threshold, beam, bio, majority, ",
    ),
    ((*PLACE, "drives", "layers"), "decoders.path.drives: a decoder of kind viterbi drives no graph; remove it"),
    (
        (*PLACE, {"kind": "beam", "reads": "layers.2", "options": BEAM}),
        "decoders.path: a decoder of kind beam drives a graph, which 'drives' names",
    ),
    ((*PLACE, "kind", "rollout"), "decoders.path: unknown key 'tensors'"),
    ((*PLACE, "reads", "layers.9"), "decoders.path.reads: is 'layers.9'; expected one of 'layers.0'"),
    ((*PLACE, "part", [0, 4]), "decoders.path.tensors.transitions: tensor 'path.transitions' has shape [5, 5]"),
    ((*PLACE, "part", [0, 8]), "decoders.path.part[1]: is 8; expected an integer of 1 to 7"),
    ((*PLACE, "options", {"look_ahead": 0}), "options.look_ahead: is 0; expected an integer of 1 to 64"),
    ((*PLACE, "options", {}), "decoders.path.options: the key 'look_ahead' is missing"),
    ((*PLACE, "tensors", {}), "decoders.path.tensors: the key 'transitions' is missing"),
    ((*PLACE, 3), "decoders.path: is 3; expected an object"),
    (("decoders", "a.b", {}), "decoders: has the name 'a.b'; expected letters, digits and _"),
    (("decoders", "layers", {}), "decoders: has the name 'layers'"),
    (("decoders", "more", {**VITERBI, "reads": "layers.2"}), "decoders.more: 0 outputs read it by their key 'from'"),
    (("decoders", []), "decoders: is []; expected an object"),
    ((*FOUND, "part", [0, 5]), "outputs.found.part: the numbers are those of decoders.path; give it the part"),
    ((*FOUND, "from", "paths"), "outputs.found.from: is 'paths'; expected one of 'layers.0'"),
    ((*FOUND, "scheme", "bio"), "outputs.found.scheme: is 'bio', but decoders.path chooses the tags; expected None"),
    ((*FOUND, "scores", "given"), "outputs.found.scores: is 'given', but decoders.path chooses the tags"),
    ((*FOUND, EVENTS), "outputs.found.from: decoders.path gives an id for each step; an output of kind events needs"),
    (("outputs", "label", {**TAGGED}), "decoders.path: 2 outputs read it"),
]


@pytest.mark.parametrize(("path", "sentence"), WRONG, ids=[sentence[:50] for _, sentence in WRONG])
def test_a_wrong_document_is_one_sentence(path: tuple[Any, ...], sentence: str) -> None:
    model = make("viterbi")
    document = model.document
    change(document, *path)
    with pytest.raises(ModelFileError) as caught:
        Model(document, model.tensors)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"on": 1, "off": 0.5, "least": 1}, "decoders.path.options.on: is 1; expected a number such as 0.5"),
        ({"on": 0.25, "off": 0.5, "least": 1}, "options.off: is 0.5; expected at most 0.25, where a label"),
        ({"on": 0.5, "off": 0.5, "least": 0}, "decoders.path.options.least: is 0; expected an integer of 1 to"),
    ],
)
def test_wrong_thresholds(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        make("threshold", options=options)
    assert sentence in str(caught.value)


def test_an_entry_of_bio_gives_the_tags_of_the_scheme_of_that_name() -> None:
    model = make("bio")
    document = model.document
    tagged = {**TAGGED, "from": "layers.2", "part": [0, 5], "scheme": "bio"}
    other = Model({**document, "outputs": {**document["outputs"], "found": tagged}, "decoders": {}}, model.tensors)
    first, second = (Predictor(one, "base", threads=1).answers(ROWS) for one in (model, other))
    assert [results(one) for one in first] == [results(one) for one in second]
    with pytest.raises(
        ModelFileError, match=r"decoders\.path\.options\.labels: has 4 entries; expected a list of 5 to 5"
    ):
        make("bio", options={"labels": TAGS[1:]})


def test_an_output_of_labels_reads_a_node_and_events_need_a_decoder() -> None:
    model = make("threshold")
    document = model.document
    label = {**LABEL, "from": "path", "labels": TAGS}
    del label["part"]
    with pytest.raises(ModelFileError, match="outputs.found.from: decoders.path gives for each step which labels"):
        Model({**document, "outputs": {**document["outputs"], "found": label}}, model.tensors)
    events = {**EVENTS, "from": "layers.2", "part": [0, 5]}
    with pytest.raises(ModelFileError, match="outputs.found.from: is 'layers.2'; expected the name of a decoder"):
        Model({**document, "outputs": {**document["outputs"], "found": events}, "decoders": {}}, model.tensors)


def test_steps_that_start_anew_have_no_decoder() -> None:
    model = series_sample(SeriesTransform(("load",), ("past",), window=Window(4, spread="window")), size=4)
    document = model.document
    (name,) = document["outputs"]
    entry = {**THRESHOLD, "reads": document["outputs"][name]["from"]}
    document["outputs"][name]["from"], document["decoders"] = "path", {"path": entry}
    with pytest.raises(ModelFileError, match="decoders.path: the input starts anew for each answer"):
        Model(document, model.tensors)
