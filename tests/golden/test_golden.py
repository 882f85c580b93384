"""Model files of every format version load for ever, with the hashes and the bits that they had when they were made."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from tidegate import tensors as safetensors
from tidegate.document import FORMAT
from tidegate.model import Model
from tidegate.verify import make_check
from tidegate.verify.held import fill_held

HERE = Path(__file__).resolve().parent
HASHES = json.loads((HERE / "hashes.json").read_text("utf-8"))
FILES = sorted(HERE.glob("*.safetensors"))
OLDER = [path for path in FILES if not path.name.startswith(f"{FORMAT}-")]
hash_answers = runpy.run_path(str(HERE / "models.py"))["hash_answers"]


def test_every_format_has_its_files():
    assert [path.name for path in FILES] == sorted(HASHES)
    assert {path.name.split("-")[0] for path in FILES} == {str(n) for n in range(1, FORMAT + 1)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_loads_with_its_hashes(path):
    model, found = Model.load(path), HASHES[path.name]
    weights_hash = model.former_weights_hash if path in OLDER else model.weights_hash
    assert (weights_hash, model.schema_hash) == (found["weights_hash"], found["schema_hash"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_answers_with_the_same_bits(path):
    assert hash_answers(Model.load(path)) == HASHES[path.name]["answers"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_saves_to_the_same_bytes(path, tmp_path):
    """A file of the current format stays as it is; an older one is saved in the current format, once and for all."""
    model = Model.load(path)
    model.save(tmp_path / "again")
    saved = (tmp_path / "again").read_bytes()
    if path in OLDER:
        again = Model.load(tmp_path / "again")
        assert (again.document, again.weights_hash) == (model.document, model.weights_hash)
        assert again.former_weights_hash is None
        again.save(tmp_path / "twice")
        assert (tmp_path / "twice").read_bytes() == saved
    else:
        assert saved == path.read_bytes()


@pytest.mark.parametrize("path", OLDER, ids=lambda path: path.stem)
def test_an_older_file_is_the_newer_one_of_its_name(path):
    name = path.name.removeprefix("1-").replace("-with-sum", "")
    older, newer = Model.load(path), Model.load(HERE / f"{FORMAT}-{name}")
    for key in ("inputs", "outputs", "state", "streams"):  # graphs of the first files name fewer parts of a dialect
        assert older.document[key] == newer.document[key]
    for tensor in set(older.tensors) | set(newer.tensors):
        tolerance = 1e-12 if tensor.startswith("check.") else 0
        np.testing.assert_allclose(older.tensors[tensor], newer.tensors[tensor], rtol=tolerance)


def test_an_older_file_without_a_sum_gets_one(tmp_path):
    path = HERE / "1-classifier.safetensors"
    assert Model.load(path).sha256 is None
    Model.load(path).save(tmp_path / "again")
    _, metadata = safetensors.read(tmp_path / "again")
    assert safetensors.CHECKSUM_KEY in metadata
    assert {Model.load(path).sha256 is None for path in FILES} == {True, False}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_reference_still_gives_its_answers(path):
    """To a few last places of float64: sums and exponentials differ between versions of NumPy."""
    model = Model.load(path)
    for prefix, one in {f"{n}.": graph.model for n, graph in model.graphs.items()}.items() or {"": model}.items():
        stored = one.document["check"]
        check, tensors = make_check(fill_held(one, stored["seed"]), stored["seed"])
        assert model.levels or check == stored
        assert [case["steps"] for case in check["cases"]] == [case["steps"] for case in stored["cases"]]
        for name, array in tensors.items():
            own = f"check.{prefix}{name.removeprefix('check.')}"
            np.testing.assert_allclose(array, one.tensors[own], rtol=1e-12, atol=1e-13)
