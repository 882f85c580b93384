"""Safetensors: exact bytes, both ways with the safetensors package, and one sentence for each malformed header."""

import io
import json
import os
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy

from tidegate.errors import ModelFileError, TidegateError
from tidegate.tensors import BF16, DTYPES, dtype_name, read, write


def write_raw(path, header, data=b"", length=None):
    """Write a file of these bytes; a header that is not bytes is written as JSON and padded to 8."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
        header += b" " * (-len(header) % 8)
    path.write_bytes((len(header) if length is None else length).to_bytes(8, "little") + header + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


EVERY = {
    f"t.{name.lower()}": np.arange(6).reshape(2, 3).astype(dtype) for name, dtype in DTYPES.items() if name != "BF16"
}


def test_exact_bytes(tmp_path):
    file = io.BytesIO()
    write(file, {"b": np.array([1, 2], np.uint8), "a": np.array([1.0], np.float32)}, {"k": "é"})
    header = (
        '{"__metadata__":{"k":"é"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        '"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}'
    ).encode()
    header += b" " * (-len(header) % 8)
    data = b"\x00\x00\x80\x3f\x01\x02"
    assert file.getvalue() == len(header).to_bytes(8, "little") + header + data


def test_what_the_package_writes_is_read(tmp_path):
    safetensors.numpy.save_file(EVERY, tmp_path / "f", metadata={"a": "b"})
    found, metadata = read(tmp_path / "f")
    assert metadata == {"a": "b"}
    assert set(found) == set(EVERY)
    for name, array in EVERY.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_what_is_written_the_package_reads(tmp_path):
    write(tmp_path / "f", EVERY, {"a": "b"})
    found = safetensors.numpy.load_file(tmp_path / "f")
    assert set(found) == set(EVERY)
    for name, array in EVERY.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_bf16_keeps_its_bits_and_its_name(tmp_path):
    bits = np.array([0x3F80, 0x7FC0, 0xFFFF], BF16)
    write(tmp_path / "f", {"w": bits}, {})
    found, metadata = read(tmp_path / "f")
    assert metadata == {}
    assert found["w"].dtype == np.uint16
    assert dtype_name(found["w"]) == "BF16"
    assert found["w"].tolist() == bits.tolist()
    write(tmp_path / "g", found, {})
    assert (tmp_path / "f").read_bytes() == (tmp_path / "g").read_bytes()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1, 1, 1, 1, 1, 1, 1)])
def test_odd_shapes(tmp_path, shape):
    write(tmp_path / "f", {"x": np.ones(shape), "y": np.ones(1)}, {})
    found, _ = read(tmp_path / "f")
    assert found["x"].shape == shape
    np.testing.assert_array_equal(found["x"], np.ones(shape))


def test_strided_and_big_endian_arrays_are_written_as_they_read(tmp_path):
    array = np.arange(12).reshape(3, 4)
    write(tmp_path / "f", {"t": array.T, "s": array[:, ::2], "b": array.astype(">i8")}, {})
    found, _ = read(tmp_path / "f")
    np.testing.assert_array_equal(found["t"], array.T)
    np.testing.assert_array_equal(found["s"], array[:, ::2])
    np.testing.assert_array_equal(found["b"], array)


def test_arrays_cannot_be_written_to(tmp_path):
    write(tmp_path / "f", EVERY, {})
    for array in read(tmp_path / "f")[0].values():
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


@pytest.mark.parametrize("content", [b"", b"another file"])
def test_a_large_file_that_is_overwritten_or_cut_later_leaves_its_arrays_alone(tmp_path, content):
    large = np.arange((16 << 20) // 4 + 1, dtype=np.float32)
    write(tmp_path / "f", {"large": large}, {})
    found, _ = read(tmp_path / "f")
    (tmp_path / "f").write_bytes(content)  # in place, as cp does it
    np.testing.assert_array_equal(found["large"], large)


def test_same_arguments_same_bytes(tmp_path):
    write(tmp_path / "f", EVERY, {"a": "b"})
    write(tmp_path / "g", dict(reversed(EVERY.items())), {"a": "b"})
    assert (tmp_path / "f").read_bytes() == (tmp_path / "g").read_bytes()


MALFORMED = {
    "no object": (b"[]", "the header starts with b'[]'; expected a JSON object"),
    "white space first": (b" {}", "the header starts with b' {}'"),
    "no utf-8": (b'{"\xff":1}', "the header is not UTF-8: invalid start byte at byte 2"),
    "no json": (b"{a}", "the JSON is broken: Expecting property name"),
    "key twice": (b'{"a":1,"a":1}', "in the JSON, the key 'a' appears twice in one object"),
    "nan": (b'{"a":NaN}', "in the JSON, NaN is not a JSON number"),
    "infinite": (b'{"a":-Infinity}', "in the JSON, -Infinity"),
    "too large": (b'{"a":1e999}', "the JSON has the number '1e999', which is too large"),
    "many digits": (b'{"a":' + b"9" * 21 + b"}", "an integer of 21 characters; at most 20"),
    "surrogate": (b'{"\\ud800":1}', "half of a surrogate pair"),
    "deep": (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper than 32 levels"),
    "closing": (b"{}]", "the JSON is broken: ] without an opening bracket"),
    "metadata": ({"__metadata__": {"a": 1}}, "the metadata is not an object of strings"),
    "metadata list": ({"__metadata__": []}, "the metadata is not an object of strings"),
    "entry list": ({"x": []}, "tensor 'x': expected an object of dtype, shape and data_offsets"),
    "entry key": ({"x": {**entry(), "more": 1}}, "tensor 'x': expected an object of dtype, shape"),
    "dtype": ({"x": entry("F8")}, "tensor 'x': unknown dtype 'F8'; expected one of F64, F32"),
    "dtype list": ({"x": entry([])}, "tensor 'x': unknown dtype []"),
    "negative": ({"x": entry(shape=[-2])}, "tensor 'x': shape is [-2]; expected at most 8 non-negative integers"),
    "boolean": ({"x": entry(shape=[True, 2])}, "tensor 'x': shape is [True, 2]; expected"),
    "float": ({"x": entry(shape=[2.0])}, "tensor 'x': shape is [2.0]; expected"),
    "nine axes": ({"x": entry(shape=[1] * 9)}, "expected at most 8 non-negative integers"),
    "overflow": ({"x": entry(shape=[2**40, 2**40])}, "shape [1099511627776, 1099511627776] is too large"),
    "overflow times zero": (
        {"x": entry(shape=[0, 2**40, 2**40], offsets=(0, 0))},
        "too large for any memory",
    ),
    "one offset": ({"x": entry(offsets=[0])}, "tensor 'x': data_offsets is [0]; expected [begin, end]"),
    "backwards": ({"x": entry(offsets=[8, 0])}, "tensor 'x': data_offsets is [8, 0]; expected [begin, end]"),
    "size": ({"x": entry(shape=[3])}, "tensor 'x': F32 of shape [3] needs 12 bytes, but its offsets span 8"),
    "gap": ({"x": entry(offsets=[4, 12])}, "'x': begins at byte 4 and leaves a gap before it; expected 0"),
    "overlap": (
        {"x": entry(), "y": entry(offsets=[4, 12])},
        "tensor 'y': begins at byte 4 and overlaps the tensor before it; expected 8",
    ),
    "alias": ({"x": entry(), "y": entry()}, "tensor 'y': begins at byte 0 and overlaps"),
    "cut short": (
        {"x": entry(shape=[3], offsets=[0, 12])},
        "its tensors need 12 bytes, but there are only 8",
    ),
    "left over": ({"x": entry(shape=[1], offsets=[0, 4])}, "has 4 bytes after its last tensor"),
    "unaligned": (
        {"x": entry("U8", [1], [0, 1]), "y": entry("F16", [3], [1, 7]), "z": entry("U8", [1], [7, 8])},
        "tensor 'y': F16 begins at byte 1, which is not a multiple of its item size; write wider tensors first",
    ),
    "unpadded": (b"{}", "has 8 bytes after its last tensor"),
    "truth": ({"x": entry("BOOL", [8])}, "tensor 'x': is BOOL but has bytes other than 0 and 1"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_header_is_one_sentence(tmp_path, case):
    header, sentence = MALFORMED[case]
    path = write_raw(tmp_path / "f", header, b"\x02" * 8)
    with pytest.raises(ModelFileError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)
    assert len(str(caught.value).removeprefix(str(path))) < 250


LENGTHS = {
    b"": "is empty",
    b"\1\2\3\4\5\6\7": "has 7 bytes; a safetensors file starts with 8 bytes",
    (2**60).to_bytes(8, "little"): "header has 1152921504606846976 bytes; at most 4000000 are allowed",
    (4_000_001).to_bytes(8, "little"): "header has 4000001 bytes",
    (9).to_bytes(8, "little") + b"{}": "the header has 9 bytes, but the file ends after 2",
    b"PK\x03\x04aaaaaaaa": "looks like a zip archive; expected safetensors; unpack it first",
    b"\x80\x04\x95aaaaaaaa": "looks like a pickle; expected safetensors; opening it can run code",
    b"import numpy as np": "looks like text; expected safetensors",
    b"\x08\x09\x12\x08tidegate": "looks like an ONNX model; expected safetensors; tidegate writes ONNX but does",
    b"\x1c\0\0\0TFL3\0\0\0\0": "looks like a TensorFlow Lite model; expected safetensors",
    b"\x89HDF\r\n\x1a\n\0\0": "looks like an HDF5 file (Keras .h5); expected safetensors",
    b"GGUF\3\0\0\0\0\0": "looks like a GGUF model; expected safetensors",
    b"\x1f\x8b\x08\0\0\0\0\0\0": "looks like gzip; expected safetensors; unpack it first",
    b'{"format": 1}': "looks like JSON; expected safetensors",
    b"version https://git-lfs.github.com/spec/v1\n": "looks like a Git LFS pointer; expected safetensors",
}


@pytest.mark.parametrize("content", LENGTHS)
def test_a_wrong_length_is_one_sentence(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        read(tmp_path / "f")
    assert LENGTHS[content] in str(caught.value)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    kinds = {"": "is a folder", "none": "there is no such file", "pipe": "is a pipe, not a regular file"}
    for name, sentence in kinds.items():
        with pytest.raises(ModelFileError, match=sentence):
            read(tmp_path / name)
    with pytest.raises(ModelFileError, match="zero byte"):
        read("a\0b")


@pytest.mark.parametrize(("size", "sentence"), [(8, "cut short"), (2**43, "but this machine's memory")])
def test_a_claimed_size_is_never_allocated(tmp_path, size, sentence):
    """The second file is as large as its header says, but sparse."""
    path = write_raw(tmp_path / "f", {"x": entry("U8", [2**43], [0, 2**43])})
    try:
        os.truncate(path, path.stat().st_size + size)
    except OSError:
        pytest.skip("this file system has no such files")
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=sentence):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_what_cannot_be_read_back_is_not_written(tmp_path):
    cases = [
        ({"x": np.zeros(2, complex)}, {}, "tensor 'x': dtype complex128 cannot be stored"),
        ({"x": np.zeros([1] * 9)}, {}, "tensor 'x': has 9 axes"),
        ({"__metadata__": np.zeros(1)}, {}, "is not a valid name"),
        ({"x": np.zeros(1)}, {"a": 1}, "the metadata is not an object of strings"),
        ({"\ud800": np.zeros(1)}, {}, "half of a surrogate pair"),
        ({}, {"a": "b" * 4_000_000}, "the header would have"),
    ]
    for arrays, metadata, sentence in cases:
        with pytest.raises(ModelFileError, match=sentence):
            write(tmp_path / "f", arrays, metadata)
    with pytest.raises(TidegateError, match="create it first"):
        write(tmp_path / "none" / "f", {}, {})
    assert os.listdir(tmp_path) == []


def test_an_unpadded_header_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="the header has 2 bytes; expected a multiple of 8"):
        read(write_raw(tmp_path / "f", b"{}"))
