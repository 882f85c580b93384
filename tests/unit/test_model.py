"""The model file: it is read as written, never changes, and is refused in one sentence if it is not valid."""

import copy
import hashlib
import json
import runpy
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tidegate import tensors as safetensors
from tidegate.document import state_schema
from tidegate.errors import ModelFileError, TidegateError
from tidegate.layers import to_nodes
from tidegate.layers.pool import Pool
from tidegate.model import Model

MODELS = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "models.py"))
classifier, forecaster, tagger = MODELS["classifier"], MODELS["forecaster"], MODELS["tagger"]
checked = MODELS["with_empty_check"]


@pytest.fixture(params=[classifier, forecaster, tagger], ids=["classifier", "forecaster", "tagger"])
def parts(request):
    return checked(request.param())


def test_round_trip(tmp_path, parts):
    model = Model(*parts)
    model.save(tmp_path / "a")
    again = Model.load(tmp_path / "a")
    again.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert again.document == parts[0]
    assert (again.weights_hash, again.schema_hash) == (model.weights_hash, model.schema_hash)
    assert set(again.tensors) == set(parts[1])
    for name, array in parts[1].items():
        assert again.tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(again.tensors[name], array)


def test_what_a_model_tells(parts):
    document, _ = parts
    model = Model(*parts)
    assert to_nodes(model.layers) == document["layers"]
    assert model.labels == document["labels"]
    assert model.state_schema == document["state"]["arrays"]
    assert model.state_bytes == document["state"]["bytes"]
    assert model.streams[0] is document["streams"]["yes"]
    assert model.tapes["gru"].to_json() == document["tapes"]["gru"]


def test_why_a_model_does_not_stream():
    document, tensors = tagger()
    document["streams"]["because"] = "it reads both directions"
    assert Model(document, tensors).streams == (False, "it reads both directions")
    assert [array["name"] for array in Model(document, tensors).state_schema] == ["steps"]


def test_a_file_streams_if_and_only_if_its_layers_do():
    document, tensors = tagger()
    document["streams"] = {"yes": True}
    reason = "its convolution looks 1 step ahead and it reads each input in both directions"
    with pytest.raises(ModelFileError, match=f"streams.yes: is True; expected False, because {reason}"):
        Model(document, tensors)
    document, tensors = forecaster()
    document["streams"] = {"yes": False, "because": "x"}
    with pytest.raises(ModelFileError, match=r"streams\.yes: is False; expected True, as all of its layers run"):
        Model(document, tensors)


def test_nothing_changes_a_model(parts):
    document, tensors = copy.deepcopy(parts)
    model = Model(document, tensors)
    before = model.weights_hash
    for array in tensors.values():
        array[...] = 0
    document["layers"].clear()
    model.document["layers"].clear()
    with pytest.raises(TypeError):
        model.layers[0].tensors["weight"] = "other"
    model.state_schema.clear()
    assert Model(model.document, model.tensors).weights_hash == before
    for array in model.tensors.values():
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    with pytest.raises(TypeError):
        model.tensors["new"] = np.zeros(1)
    with pytest.raises(AttributeError):
        model.labels = []


def test_a_loaded_model_is_taken_over_without_a_copy(tmp_path, parts):
    Model(*parts).save(tmp_path / "a")
    model = Model.load(tmp_path / "a")
    again = Model(model.document, model.tensors)
    assert all(again.tensors[name] is array for name, array in model.tensors.items())


def test_the_state_schema_of_every_kind_of_array():
    document, _ = classifier(H=3)
    names = ["1.h", "3.h", "4.mean", "4.max", "4.peak", "4.weight", "4.sum"]
    sizes, fills = [3, 3, 3, 3, 1, 1, 3], [0.0, 0.0, 0.0, "-inf", "-inf", 0.0, 0.0]
    expected, offset = [{"name": "steps", "dtype": "int64", "shape": [1], "offset": 0}], 8
    for name, size, fill in zip(names, sizes, fills, strict=True):
        more = {"dtype": "float32", "shape": [size], "offset": offset, "fill": fill}
        expected.append({"name": f"layers.{name}", **more})
        offset += 4 * size
    assert document["state"] == {"bytes": 80, "arrays": expected}
    assert offset == 76


def test_the_hashes_are_those_of_the_definition(parts):
    """Compute the hashes from docs/format.md, without the model's code."""
    document, tensors = parts

    def text(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    kinds = {"float32": "F32", "int64": "I64", "uint8": "U8"}
    weights = hashlib.sha256(text({key: document[key] for key in ("input", "labels", "layers", "tapes")}))
    for name in sorted(tensors):
        if not name.startswith("check."):
            array = tensors[name]
            weights.update(text([name, kinds[str(array.dtype)], list(array.shape)]) + array.tobytes())
    tapes = {name: tape["state"] for name, tape in document["tapes"].items()}
    schema = hashlib.sha256(text({"arrays": document["state"]["arrays"], "tapes": tapes}))
    model = Model(document, tensors)
    assert model.weights_hash == weights.hexdigest()
    assert model.schema_hash == schema.hexdigest()


@pytest.mark.parametrize("name", ["layers.1.W", "input.vocabulary.bytes", "layers.5.bias"])
def test_the_weights_hash_sees_every_tensor_and_not_the_check(name):
    document, tensors = checked(classifier())
    before = Model(document, tensors).weights_hash
    tensors["check.1.output"] += 1
    document["provenance"] = {"other": 1}
    assert Model(document, tensors).weights_hash == before
    tensors[name] = tensors[name].copy()
    tensors[name].flat[-1] += 1
    assert Model(document, tensors).weights_hash != before


def test_only_what_shapes_the_state_is_in_the_schema_hash():
    same, other = Model(*classifier(seed=5)), Model(*classifier(H=9))
    assert Model(*classifier()).schema_hash == same.schema_hash != other.schema_hash
    assert Model(*classifier()).weights_hash != same.weights_hash


def test_a_model_without_a_check_lives_in_memory_only(tmp_path):
    document, tensors = forecaster()
    with pytest.raises(ModelFileError, match="no check, which a file needs"):
        Model(document, tensors).save(tmp_path / "a")
    safetensors.write(tmp_path / "a", tensors, {"tidegate": json.dumps(document)})
    with pytest.raises(ModelFileError, match="a: check: is null; a file needs one"):
        Model.load(tmp_path / "a")


def test_other_safetensors_are_no_model(tmp_path):
    safetensors.write(tmp_path / "a", {}, {"format": "pt"})
    with pytest.raises(ModelFileError, match="is safetensors but not a tidegate model: its metadata has no key"):
        Model.load(tmp_path / "a")
    safetensors.write(tmp_path / "a", {}, {"tidegate": "{}", "format": "pt"})
    with pytest.raises(ModelFileError, match="its metadata has the key 'format'; expected only 'tidegate' and"):
        Model.load(tmp_path / "a")


def test_what_is_no_json_is_refused():
    document, tensors = forecaster()
    ring = {}
    ring["ring"] = ring
    for value in (np.float32(1), float("nan"), {1, 2}, b"bytes", "\ud800", ring):
        with pytest.raises(ModelFileError, match=r"the document (cannot be written as JSON|has text that cannot be)"):
            Model({**document, "provenance": {"x": value}}, tensors)


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


WRONG = [
    (put("format", 2), "was made by a newer tidegate (format 2); this version reads format 1; upgrade tidegate"),
    (put("format", 0), "format is 0; expected 1"),
    (put("format", True), "format is True; expected 1"),
    (put("format", 1.0), "format is 1.0; expected 1"),
    (drop("format"), "format is None; expected 1"),
    (put("more", 1), "the document: unknown key 'more'; expected format, task, input"),
    (drop("labels"), "the document: the key 'labels' is missing; expected format, task"),
    (put("task", []), "task: is []; expected an object"),
    (put("task", "kind", ""), "task.kind: is ''; expected a string that is not empty"),
    (put("task", "options", 3), "task.options: is 3; expected an object"),
    (put("input", "kind", "sound"), "input.kind: is 'sound'; expected 'text', 'ids', 'array' or 'series'"),
    (
        put("input", {"kind": "array", "features": 0}),
        "input.features: is 0; expected an integer of 1 to 1048576",
    ),
    (
        put("input", {"kind": "array", "features": 3}),
        "layers[0]: embed takes token ids; its input is 3 numbers",
    ),
    (put("input", "size", True), "input.size: is True; expected an integer"),
    (
        put("input", "size", 11),
        "input.vocabulary.offsets: tensor 'input.vocabulary.offsets' has shape [11]; expected [12]",
    ),
    (put("input", "tokenizer", None), "input.tokenizer: is None; expected an object"),
    (put("input", "vocabulary", "bytes", "layers.0.weight"), "'layers.0.weight' is F32; expected U8"),
    (put("input", "vocabulary", "bytes", []), "input.vocabulary.bytes: there is no tensor [] in the file"),
    (put("layers", []), "layers: has 0 entries; expected a list of 1 to 256"),
    (put("layers", {}), "layers: is {}; expected a list of 1 to 256"),
    (put("layers", 1, None), "layers[1]: is None; expected an object"),
    (put("layers", 2, "kind", "attend"), "layers[2]: unknown layer 'attend'; choose one of bidirectional, conv"),
    (put("layers", 2, "kind", "_options"), "layers[2]: unknown layer '_options'"),
    (put("layers", 2, "kind", ["norm"]), "layers[2]: unknown layer ['norm']"),
    (put("layers", 2, "size", 9), "layers[2]: size is 9; the input is 8 wide"),
    (put("layers", 2, "more", 9), "layers[2]: unknown option 'more'"),
    (drop("layers", 2, "eps"), "layers[2]: 'eps' is missing"),
    (put("layers", 3, "add", 3), "layers[3].add: is 3; expected the index of an earlier layer"),
    (put("layers", 3, "add", -1), "layers[3].add: is -1; expected the index"),
    (put("layers", 3, "add", True), "layers[3].add: is True; expected the index"),
    (put("layers", 3, "add", None), "layers[3].add: is None; expected the index"),
    (put("layers", 3, "add", 0), "layers[3].add: layer 0 is 5 wide and this one 8; they must be equal"),
    (put("layers", 1, "tape", "lstm"), "layers[1]: tape is 'lstm'; the file has gru"),
    (drop("layers", 1, "tensors"), "layers[1].tensors: is None; expected an object"),
    (drop("layers", 1, "tensors", "R"), "layers[1].tensors: the key 'R' is missing; expected W, b, R, c"),
    (put("layers", 1, "tensors", "Q", "x"), "layers[1].tensors: unknown key 'Q'; expected W, b, R, c"),
    (put("layers", 1, "tensors", "R", "x"), "layers[1].tensors.R: there is no tensor 'x' in the file"),
    (put("layers", 1, "tensors", "R", 1), "layers[1].tensors.R: there is no tensor 1 in the file"),
    (
        put("layers", 1, "tensors", "R", "layers.1.W"),
        "layers[1].tensors.R: tensor 'layers.1.W' has shape [24, 5]; expected [24, 8]",
    ),
    (put("layers", 1, "tensors", "b", "check.1.output"), "'check.1.output' is F64; expected F32"),
    (put("tapes", []), "tapes: is []; expected an object"),
    (put("tapes", {}), "layers[1]: tape is 'gru'; the file has none"),
    (put("tapes", "gru", 1), "tapes.'gru': a tape is an object with the keys"),
    (put("tapes", "gru", "output", 99), "tapes.'gru': output is register 99"),
    (
        put("tapes", "gru", "instructions", 4, ["tan", 0]),
        "tapes.'gru': instruction 4 (tan): unknown operation",
    ),
    (put("labels", None), "labels: is None; expected a list of strings that are not empty"),
    (put("labels", ["a", "b"]), "labels: there are 2; the last layer has 3 outputs"),
    (put("labels", ["a", "b", "a"]), "labels: 'a' appears twice; each label must appear once"),
    (put("labels", ["a", "b", ""]), "labels: is ['a', 'b', '']; expected a list of strings"),
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
    document["layers"][2]["tensors"]["gain"] = "check.gain"
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


def test_a_state_over_16_megabytes_is_refused():
    layers = [Pool(size=1 << 20, over=("mean", "max"))] * 3
    with pytest.raises(ModelFileError, match="state: the layers carry 25165832 bytes from step to step; at most"):
        state_schema(layers)


def test_saving_to_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(TidegateError, match="its folder does not exist; create it first"):
        Model(*checked(forecaster())).save(tmp_path / "none" / "a")


def test_loading_asks_for_nothing_but_numpy_and_the_standard_library(tmp_path):
    """Not even pathlib and OpenSSL, which take longer to import than a small model takes to load."""
    Model(*checked(classifier())).save(tmp_path / "a")
    code = (
        "import sys, numpy; before = set(sys.modules)\n"
        "from tidegate.model import Model\n"
        "Model.load(sys.argv[1])\n"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a"], capture_output=True, text=True, check=True)
    assert not {"torch", "safetensors", "hashlib", "tempfile", "pickle"} & set(done.stdout.split())


def test_a_file_by_hand_loads(tmp_path):
    """Write the bytes as docs/format.md says, without the writer's code."""
    document, tensors = checked(forecaster())
    header, data = {"__metadata__": {"tidegate": json.dumps(document)}}, b""
    for name, array in sorted(tensors.items(), key=lambda item: -item[1].itemsize):
        dtype = {"float32": "F32", "float64": "F64"}[str(array.dtype)]
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(text)) + text + data)
    assert Model.load(tmp_path / "a").weights_hash == Model(document, tensors).weights_hash
