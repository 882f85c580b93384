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
from tidegate.document.graph import read_layers
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
    assert to_nodes(model.layers) == read_layers(document)
    assert model.labels == document["outputs"].get("label", {}).get("labels")
    assert model.state_schema == document["state"]["arrays"]
    assert model.state_bytes == document["state"]["bytes"]
    assert model.streams[0] is document["streams"]["yes"]
    assert model.tapes["gru"].to_json() == document["tapes"]["gru"]


def test_why_a_model_does_not_stream():
    document, tensors = tagger()
    document["streams"] = {"yes": False, "because": "it reads both directions"}
    model = Model(document, tensors)
    assert (model.streams, model.keeps) == ((False, "it reads both directions"), 0)
    assert [array["name"] for array in model.state_schema] == ["steps"]


def test_what_a_stream_keeps_of_whole_rows_is_a_part_of_its_schema():
    document, tensors = tagger()
    model, without = Model(document, tensors), {**document, "streams": {"yes": False, "because": "x"}}
    assert (model.streams, model.keeps, document["streams"]) == ((True, ""), 1024, {"yes": True, "keeps": 1024})
    fewer = Model({**document, "streams": {"yes": True, "keeps": 1023}}, tensors)
    assert len({fewer.schema_hash, model.schema_hash, Model(without, tensors).schema_hash}) == 3
    assert fewer.weights_hash == model.weights_hash == Model(without, tensors).weights_hash


def test_a_file_streams_as_its_layers_do():
    document, tensors = tagger()
    document["streams"] = {"yes": True}
    reason = "its convolution looks 1 step ahead and it reads each input in both directions"
    with pytest.raises(
        ModelFileError, match=f"streams.yes: is True; expected False, because {reason}, or also 'keeps'"
    ):
        Model(document, tensors)
    most = ((16 << 20) - 8) // (4 * 3)
    Model({**document, "streams": {"yes": True, "keeps": most}}, tensors)
    for keeps in (0, most + 1, 2.0, True, "1"):
        document["streams"] = {"yes": True, "keeps": keeps}
        with pytest.raises(ModelFileError, match=rf"streams\.keeps: is {keeps!r}; expected an integer of 1 to {most}"):
            Model(document, tensors)
    document, tensors = forecaster()
    document["streams"] = {"yes": False, "because": "x"}
    with pytest.raises(ModelFileError, match=r"streams\.yes: is False; expected True, as all of its layers run"):
        Model(document, tensors)
    document["streams"] = {"yes": True, "keeps": 9}
    with pytest.raises(ModelFileError, match=r"streams: unknown key 'keeps'; expected yes"):
        Model(document, tensors)


def test_nothing_changes_a_model(parts):
    document, tensors = copy.deepcopy(parts)
    model = Model(document, tensors)
    before = model.weights_hash
    for array in tensors.values():
        array[...] = 0
    document["graphs"].clear()
    model.document["graphs"].clear()
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
    weights = hashlib.sha256(text({key: document[key] for key in ("decoders", "graphs", "inputs", "outputs", "tapes")}))
    for name in sorted(tensors):
        if not name.startswith("check."):
            array = tensors[name]
            weights.update(text([name, kinds[str(array.dtype)], list(array.shape)]) + array.tobytes())
    tapes = {name: tape["state"] for name, tape in document["tapes"].items()}
    kept = {"keeps": 1024} if "keeps" in document["streams"] else {}
    schema = hashlib.sha256(text({"arrays": document["state"]["arrays"], "tapes": tapes, **kept}))
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
