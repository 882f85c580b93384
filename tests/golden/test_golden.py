"""Model files of every format version load for ever, with the hashes that they had when they were made."""

import json
from pathlib import Path

import numpy as np
import pytest

from tidegate import tensors as safetensors
from tidegate.document import FORMAT
from tidegate.model import Model
from tidegate.verify import make_check

HERE = Path(__file__).resolve().parent
HASHES = json.loads((HERE / "hashes.json").read_text("utf-8"))
FILES = sorted(HERE.glob("*.safetensors"))


def test_every_format_has_its_files():
    assert [path.name for path in FILES] == sorted(HASHES)
    assert {path.name.split("-")[0] for path in FILES} == {str(n) for n in range(1, FORMAT + 1)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_loads_with_its_hashes(path):
    model = Model.load(path)
    assert {"weights_hash": model.weights_hash, "schema_hash": model.schema_hash} == HASHES[path.name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_saves_to_the_same_bytes(path, tmp_path):
    Model.load(path).save(tmp_path / "again")
    if Model.load(path).sha256 is None:  # it gets a checksum, and nothing else changes
        tensors, metadata = safetensors.read(tmp_path / "again")
        del metadata[safetensors.CHECKSUM_KEY]
        safetensors.write(tmp_path / "again", tensors, metadata)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_files_with_and_without_a_sum_stay():
    assert {Model.load(path).sha256 is None for path in FILES} == {True, False}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_reference_still_gives_its_answers(path):
    """To a few last places of float64: sums and exponentials differ between versions of NumPy."""
    model = Model.load(path)
    check, tensors = make_check(model, model.document["check"]["seed"])
    assert check == model.document["check"]
    for name, array in tensors.items():
        np.testing.assert_allclose(array, model.tensors[name], rtol=1e-12, atol=1e-13)
