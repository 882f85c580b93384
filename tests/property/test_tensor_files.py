"""What is written is read back; any other bytes give valid arrays or one clear error."""

import io
import json

import numpy as np
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import ModelFileError
from tidegate.tensors import DTYPES, dtype_name, parse_header, read, write

NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda n: n != "__metadata__")
SHAPE = st.lists(st.integers(0, 4), max_size=4)


@st.composite
def arrays(draw):
    dtype = DTYPES[draw(st.sampled_from(sorted(DTYPES)))]
    shape = draw(SHAPE)
    count = int(np.prod(shape, dtype=np.int64))
    raw = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    if dtype.kind == "b":
        raw = bytes(b & 1 for b in raw)
    return np.frombuffer(raw, dtype).reshape(shape)


@given(st.dictionaries(NAME, arrays(), max_size=5), st.dictionaries(NAME, NAME, max_size=3))
def test_round_trip(tmp_path_factory, contents, metadata):
    path = tmp_path_factory.mktemp("round") / "f"
    write(path, contents, metadata)
    found, text = read(path)
    assert text == metadata
    assert set(found) == set(contents)
    for name, array in contents.items():
        assert dtype_name(found[name]) == dtype_name(array)
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


@given(st.dictionaries(NAME, arrays(), max_size=5))
def test_the_package_agrees(contents):
    file = io.BytesIO()
    write(file, contents, {})
    theirs = safetensors.deserialize(file.getvalue())
    assert {name: (v["dtype"], v["shape"], bytes(v["data"])) for name, v in theirs} == {
        name: (dtype_name(a), list(a.shape), a.tobytes()) for name, a in contents.items()
    }


@settings(max_examples=300)
@given(st.data())
def test_a_changed_file_is_refused_or_right(tmp_path_factory, data):
    """Overwrite any bytes anywhere: that gives ModelFileError or arrays inside the file, nothing else."""
    file = io.BytesIO()
    write(file, {"a": np.arange(4, dtype=np.float32), "b": np.arange(3, dtype=np.uint8)}, {"k": "v"})
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("changed") / "f"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found, _ = read(path)
    except ModelFileError:
        return
    assert sum(a.nbytes for a in found.values()) <= len(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**63) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=14), inner, max_size=4),
    max_leaves=12,
)
DTYPE = JSON | st.sampled_from(sorted(DTYPES))
KEYED = st.fixed_dictionaries({"dtype": DTYPE, "shape": JSON | SHAPE, "data_offsets": JSON | SHAPE})
HEADER = st.dictionaries(st.text(max_size=3) | st.just("__metadata__"), JSON | KEYED, max_size=3)


@given(HEADER, st.integers(0, 99))
def test_any_json_as_header(header, size):
    try:
        entries, _ = parse_header(json.dumps(header).encode(), size)
    except ModelFileError:
        return
    assert sum(e.end - e.begin for e in entries) == size
