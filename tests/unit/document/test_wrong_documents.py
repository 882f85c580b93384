"""A document that is wrong is refused in one sentence, with its place, what was found and what was expected."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from tidegate import tensors as safetensors
from tidegate.errors import ModelFileError
from tidegate.model import Model

MODELS = runpy.run_path(str(Path(__file__).parents[2] / "golden" / "models.py"))
classifier, checked = MODELS["classifier"], MODELS["with_empty_check"]


def put(*path):
    """Make a change of a document: the last of `path` becomes the value of the keys before it."""
    *keys, last, value = path

    def change(document):
        for key in keys:
            document = document[key]
        document[last] = value

    return change


def drop(*path):
    *keys, last = path

    def change(document):
        for key in keys:
            document = document[key]
        del document[last]

    return change


NODES, LABELS, LABEL = ("graphs", "layers", "nodes"), ("outputs", "label", "labels"), ("outputs", "label")
ANSWER = {"horizon": 2, "quantiles": [0.5], "head": "direct", "columns": ["a"], "of": "x"}
OUTPUT = {"kind": "forecast", "from": "layers.6", "at": "step"}

WRONG = [
    (put("inputs", {}), "inputs: the key 'x' is missing; expected x"),
    (put("inputs", "y", {}), "inputs: unknown key 'y'; expected x"),
    (put("graphs", "more", {}), "graphs.layers: the key 'level' is missing; expected clock, level, nodes"),
    (put("graphs", "layers", "clock", "y"), "graphs.layers.clock: is 'y'; expected 'x', the input"),
    (put("decoders", "reply", {}), "decoders.reply: the key 'reads' is missing; it says which node the decoder reads"),
    (drop(*NODES, 2, "from"), "layers[2]: the key 'from' is missing"),
    (put(*NODES, 2, "from", [0]), "layers[2]: size is 8; the input is 5 wide"),
    (put(*NODES, 2, "from", [0, 1]), "size is 8; the input is 13 wide; its sources are 0, 5 wide, and 1, 8 wide"),
    (put(*NODES, 2, "from", []), "layers[2].from: has 0 entries; expected a list of 1 to 64"),
    (put(*NODES, 2, "from", 1), "layers[2].from: is 1; expected a list"),
    (put(*NODES, 2, "from", [True]), "layers[2].from[0]: is True; expected an earlier node, 0 to 1, or 'x'"),
    (put(*NODES, 2, "from", [-1]), "layers[2].from[0]: is -1; expected an earlier node, 0 to 1, or 'x'"),
    (put(*NODES, 2, "from", [1, 2]), "layers[2].from[1]: is 2, itself, which would be a cycle; expected an earlier"),
    (put(*NODES, 2, "from", [4]), "layers[2].from[0]: is 4, a node that is not before it; expected an earlier node"),
    (put(*NODES, 2, "from", ["y"]), "layers[2].from[0]: is 'y'; the input has x"),
    (put(*NODES, 2, "from", ["x"]), "layers[2]: norm takes numbers; its input is token ids"),
    (put(*NODES, 2, "from", ["x", 1]), "layers[2].from: joins token ids with 1 more; a node reads them alone"),
    (
        put(*NODES, 0, "from", [0]),
        "layers[0].from[0]: is 0, itself, which would be a cycle; expected an earlier node; "
        "the first node has none, so 'x'",
    ),
    (put(*LABEL, "from", "layers.5"), "layers[6]: no layer and no output reads it; remove it"),
    (put(*NODES, 2, "kind", "norm"), "layers[2]: unknown key 'kind'"),
    (put("outputs", {}), "outputs: has 0 entries; expected 1 to 64"),
    (put(*LABEL, None), "outputs.label: is None; expected an object"),
    (put(*LABEL, "kind", "tale"), "outputs.label.kind: is 'tale'; expected one of alarm, events, forecast, labels"),
    (put(*LABEL, "from", "layers.7"), "outputs.label.from: is 'layers.7'; expected one of 'layers.0' to 'layers.6'"),
    (put(*LABEL, "at", "step"), "outputs.label.at: is 'step'; expected 'end'"),
    (put(*LABEL, "scores", "odds"), "outputs.label.scores: is 'odds'; expected one of given, logits"),
    (
        put(*LABEL, "calibration", {"factor": 0.0}),
        "outputs.label.calibration.factor: is 0.0; expected a number above 0",
    ),
    (put(*LABEL, "threshold", 0.5), "outputs.label: unknown key 'threshold'; expected kind, from, at"),
    (put(*LABEL, "part", [0, 4]), "outputs.label.part[1]: is 4; expected an integer of 1 to 3"),
    (put(*LABEL, "part", [0, 2]), "outputs.label.labels: there are 3; the output has 2 numbers"),
    (put("outputs", "label", OUTPUT | ANSWER), "outputs.label.of: is 'x'; expected the name of an input of kind"),
    (put("format", 3), "was made by a newer tidegate (format 3); this version reads format 2; upgrade tidegate"),
    (put("format", 0), "format: is 0; expected an integer of 1 to 2"),
    (put("format", True), "format is True; expected 2"),
    (put("format", 1.0), "format is 1.0; expected 2"),
    (drop("format"), "format is None; expected 2"),
    (put("more", 1), "the document: unknown key 'more'; expected format, task, inputs"),
    (drop("outputs"), "the document: the key 'outputs' is missing; expected format, task"),
    (put("task", []), "task: is []; expected an object"),
    (put("task", "kind", ""), "task.kind: is ''; expected a string that is not empty"),
    (put("task", "options", 3), "task.options: is 3; expected an object"),
    (put("inputs", "x", "features", []), "inputs.x.features: is []; expected a list of different names of prefix2,"),
    (put("inputs", "x", "features", ["shape", "shape"]), "inputs.x.features: is ['shape', 'shape']; expected a list"),
    (put("inputs", "x", "features", ["shape"]), "layers[0]: takes 1 ids of a step; inputs.x gives 2 at each step"),
    (put("graphs", "layers", "nodes", 0, "ids", 3), "layers[0]: takes 3 ids of a step; inputs.x gives 1 at each step"),
    (put("graphs", "layers", "nodes", 0, "ids", 65), "layers[0]: ids is 65; expected an integer of 1 to 64"),
    (
        put("inputs", "x", "kind", "sound"),
        "inputs.x.kind: is 'sound'; expected one of array, category, ids",
    ),
    (
        put("inputs", "x", {"kind": "array", "features": 0}),
        "inputs.x.features: is 0; expected an integer of 1 to 1048576",
    ),
    (
        put("inputs", "x", {"kind": "array", "features": 3}),
        "layers[0]: embed takes token ids; its input is 3 numbers",
    ),
    (put("inputs", "x", "size", True), "inputs.x.size: is True; expected an integer"),
    (
        put("inputs", "x", "size", 11),
        "inputs.x.vocabulary.offsets: tensor 'input.vocabulary.offsets' has shape [11]; expected [12]",
    ),
    (put("inputs", "x", "tokenizer", None), "inputs.x.tokenizer: is None; expected an object"),
    (put("inputs", "x", "vocabulary", "bytes", "layers.0.weight"), "'layers.0.weight' is F32; expected U8"),
    (put("inputs", "x", "vocabulary", "bytes", []), "inputs.x.vocabulary.bytes: there is no tensor [] in the file"),
    (put(*NODES, []), "graphs.layers.nodes: has 0 entries; expected a list of 1 to 256"),
    (put(*NODES, {}), "graphs.layers.nodes: is {}; expected a list of 1 to 256"),
    (put(*NODES, 1, None), "layers[1]: is None; expected an object"),
    (put(*NODES, 2, "layer", "remember"), "layers[2]: unknown layer 'remember'; choose one of attend"),
    (put(*NODES, 2, "layer", "_options"), "layers[2]: unknown layer '_options'"),
    (put(*NODES, 2, "layer", ["norm"]), "layers[2].layer: is ['norm']; expected a string"),
    (put(*NODES, 2, "size", 9), "layers[2]: size is 9; the input is 8 wide"),
    (put(*NODES, 2, "more", 9), "layers[2]: unknown option 'more'"),
    (drop(*NODES, 2, "eps"), "layers[2]: 'eps' is missing"),
    (put(*NODES, 3, "add", 3), "layers[3].add: is 3; expected the index of an earlier layer"),
    (put(*NODES, 3, "add", -1), "layers[3].add: is -1; expected the index"),
    (put(*NODES, 3, "add", True), "layers[3].add: is True; expected the index"),
    (put(*NODES, 3, "add", None), "layers[3].add: is None; expected the index"),
    (put(*NODES, 3, "add", 0), "layers[3].add: layer 0 is 5 wide and this one 8; they must be equal"),
    (put(*NODES, 1, "tape", "lstm"), "layers[1]: tape is 'lstm'; the file has gru"),
    (drop(*NODES, 1, "tensors"), "layers[1].tensors: is None; expected an object"),
    (drop(*NODES, 1, "tensors", "R"), "layers[1].tensors: the key 'R' is missing; expected W, b, R, c"),
    (put(*NODES, 1, "tensors", "Q", "x"), "layers[1].tensors: unknown key 'Q'; expected W, b, R, c"),
    (put(*NODES, 1, "tensors", "R", "x"), "layers[1].tensors.R: there is no tensor 'x' in the file"),
    (put(*NODES, 1, "tensors", "R", 1), "layers[1].tensors.R: there is no tensor 1 in the file"),
    (
        put(*NODES, 1, "tensors", "R", "layers.1.W"),
        "layers[1].tensors.R: tensor 'layers.1.W' has shape [24, 5]; expected [24, 8]",
    ),
    (put(*NODES, 1, "tensors", "b", "check.1.output"), "'check.1.output' is F64; expected F32"),
    (put("tapes", []), "tapes: is []; expected an object"),
    (put("tapes", {}), "layers[1]: tape is 'gru'; the file has none"),
    (put("tapes", "gru", 1), "tapes.'gru': a tape is an object with the keys"),
    (put("tapes", "gru", "output", 99), "tapes.'gru': output is register 99"),
    (
        put("tapes", "gru", "instructions", 4, ["tan", 0]),
        "tapes.'gru': instruction 4 (tan): unknown operation",
    ),
    (put(*LABELS, None), "outputs.label.labels: is None; expected a list of strings that are not empty"),
    (put(*LABELS, ["a", "b"]), "outputs.label.labels: there are 2; the output has 3 numbers"),
    (put(*LABELS, ["a", "b", "a"]), "outputs.label.labels: 'a' appears twice; each label must appear once"),
    (put(*LABELS, ["a", "b", ""]), "outputs.label.labels: is ['a', 'b', '']; expected a list of strings"),
    (put("state", "bytes", 999), "state.bytes: is 999; the layers need 176"),
    (put("state", "bytes", 176.0), "state.bytes: is 176.0; the layers need 176"),
    (put("state", "arrays", 0, "dtype", "int32"), "state.arrays[0]: is {'name': 'steps', 'dtype': 'int32'"),
    (put("state", "arrays", 3, "fill", 0), "state.arrays[3]: is {'name': 'layers.4.mean'"),
    (put("state", "arrays", 1, 7), "state.arrays[1]: is 7; the layers need {'name': 'layers.1.h'"),
    (drop("state", "arrays", 7), "state.arrays[7]: is missing; the layers need {'name': 'layers.4.sum'"),
    (put("streams", {"yes": 1}), "streams.yes: is 1; expected true or false"),
    (put("streams", {"yes": False}), "streams: the key 'because' is missing; expected yes, because"),
    (put("streams", {"yes": True, "because": "x"}), "streams: unknown key 'because'; expected yes"),
    (put("provenance", None), "provenance: is None; expected an object"),
    (put("check", []), "check: is []; expected an object"),
    (put("check", "seed", -1), "check.seed: is -1; expected an integer of 0 to 9223372036854775807"),
    (put("check", "stride", 0), "check.stride: is 0; expected an integer"),
    (
        put("check", "stride", 2),
        "check.cases[0]: output: tensor 'check.1.output' has shape [3]; expected [2]",
    ),
    (put("check", "cases", []), "check.cases: has 0 entries; expected a list of 1 to 64"),
    (put("check", "cases", 0, "steps", 0), "check.cases[0]: steps: is 0; expected an integer of 1 to 10000"),
    (
        put("check", "cases", 0, "state", "check.1.output"),
        "check.cases[0]: state: tensor 'check.1.output' has",
    ),
    (put("check", None), "tensor 'check.1.output' (and 1 more): is not used in the document; remove it"),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG, ids=[sentence[:40] for _, sentence in WRONG])
def test_a_wrong_document_is_one_sentence(tmp_path, change, sentence):
    document, tensors = checked(classifier())
    change(document)
    with pytest.raises(ModelFileError) as caught:
        Model(document, tensors)
    assert sentence in str(caught.value)
    safetensors.write(tmp_path / "a", tensors, {"tidegate": json.dumps(document)})
    with pytest.raises(ModelFileError) as loaded:
        Model.load(tmp_path / "a")
    assert str(loaded.value) == f"{tmp_path / 'a'}: {caught.value}"


def test_wrong_tensors_are_one_sentence():
    cases = [
        ({"layers.1.W": np.zeros((24, 5))}, "layers[1].tensors.W: tensor 'layers.1.W' is F64; expected F32"),
        ({"layers.1.W": np.full((24, 5), np.nan, np.float32)}, "'layers.1.W': 120 of 120 values are NaN"),
        ({"layers.1.b": np.array([np.inf, *[0] * 23], np.float32)}, "'layers.1.b': 1 of 24 values are NaN"),
        ({"extra": np.zeros(2)}, "tensor 'extra': is not used in the document; remove it"),
    ]
    document, tensors = checked(classifier())
    for change, sentence in cases:
        with pytest.raises(ModelFileError) as caught:
            Model(document, {**tensors, **change})
        assert sentence in str(caught.value)


def test_names_for_the_check_are_kept_for_it():
    document, tensors = classifier()
    document["graphs"]["layers"]["nodes"][2]["tensors"]["gain"] = "check.gain"
    tensors["check.gain"] = tensors.pop("layers.2.gain")
    with pytest.raises(ModelFileError, match=r"names that start with 'check\.' are reserved for the check"):
        Model(document, tensors)


def repeated_check(parts, count):
    """Return the parts with `count` cases, each with its own tensors."""
    document, tensors = parts
    case, cases, more = document["check"]["cases"][0], [], {}
    for i in range(count):
        names = {key: f"check.{i}.{key}" for key in ("output", "state")}
        cases.append({**case, **names})
        more |= {name: tensors[case[key]] for key, name in names.items()}
    weights = {name: array for name, array in tensors.items() if not name.startswith("check.")}
    return {**document, "check": {**document["check"], "cases": cases}}, weights | more


def test_a_check_over_64_kilobytes_is_refused():
    Model(*repeated_check(checked(classifier()), 64))
    with pytest.raises(ModelFileError, match="check: its tensors have 84480 bytes; at most 65536 are allowed"):
        Model(*repeated_check(checked(classifier(H=32)), 64))


def test_the_check_names_each_tensor_once():
    document, tensors = checked(classifier())
    document["check"]["cases"] *= 2
    with pytest.raises(ModelFileError, match=r"check.cases: a tensor appears twice"):
        Model(document, tensors)
