"""NPZ archives made by hand: which are read, and what hostile ones may try."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from tidegate.data import compression
from tidegate.data.npz import read_npz
from tidegate.errors import DataError


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(f"{name}.npy", data)
    return file.getvalue()


def member(descr="'<f8'", shape="(2,)", data=b"\0" * 16, header=None, version=1):
    text = header or f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + data


def test_a_member_made_by_hand_is_read():
    for version in (1, 2, 3):
        assert read_npz(archive(x=member(version=version)), "t.npz")["x"].tolist() == [0, 0]


NEW = "write it again"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no zip", f"t.npz is not a complete .npz archive (File is not a zip file); {NEW} with numpy.savez"),
        (
            archive(x=member())[:-30],
            f"t.npz is not a complete .npz archive (File is not a zip file); {NEW} with numpy.savez",
        ),
        (archive(x=member(shape="(10**18, 10**18)")), f"t.npz: array 'x' has a damaged header; {NEW} with numpy.savez"),
        (
            archive(x=member(shape="(1000000000000000000, 1000000000000000000)")),
            "t.npz: array 'x' is float64 [1000000000000000000, 1000000000000000000] according to its header, but "
            f"has 16 bytes; {NEW}",
        ),
        (archive(x=member(shape="(-2,)")), f"t.npz: array 'x' has the shape (-2,); expected integers from 0; {NEW}"),
        (
            archive(x=member(shape="(True,)")),
            f"t.npz: array 'x' has the shape (True,); expected integers from 0; {NEW}",
        ),
        (archive(x=member(shape="2")), f"t.npz: array 'x' has the shape 2; expected integers from 0; {NEW}"),
        (
            archive(x=member(descr="'<U0'")),
            "t.npz: array 'x' holds <U0; expected numbers, booleans, text or dates; convert it",
        ),
        (
            archive(x=member(descr="'|V8'")),
            "t.npz: array 'x' holds |V8; expected numbers, booleans, text or dates; convert it",
        ),
        (
            archive(x=member(descr="'f8,f8'")),
            "t.npz: array 'x' holds f8,f8; expected numbers, booleans, text or dates; convert it",
        ),
        (
            archive(x=member(descr="'<f7'")),
            "t.npz: array 'x' holds <f7; expected numbers, booleans, text or dates; convert it",
        ),
        (
            archive(x=member(descr="[('a', '<f8')]")),
            "t.npz: array 'x' holds [('a', '<f8')]; expected numbers, booleans, text or dates; convert it",
        ),
        (archive(x=member(header="[" * 9000)), f"t.npz: array 'x' has a damaged header; {NEW} with numpy.savez"),
        (
            archive(x=member(header="__import__('os')")),
            f"t.npz: array 'x' has a damaged header; {NEW} with numpy.savez",
        ),
        (archive(x=b"\x80\x04pickle"), f"t.npz: array 'x' is not in NumPy's format; {NEW} with numpy.savez"),
        (archive(x=member()[:20]), f"t.npz: array 'x' has a damaged header; {NEW} with numpy.savez"),
    ],
)
def test_hostile_archives(data, message):
    with pytest.raises(DataError) as caught:
        read_npz(data, "t.npz")
    assert str(caught.value) == message


@pytest.mark.parametrize(("field", "fault"), [(16, "seek"), (12, "offset")])
def test_an_end_that_points_elsewhere_is_refused(field, fault):
    data = bytearray(archive(x=member()))
    end = data.rindex(b"PK\5\6")
    data[end + field + 2] = 255
    with pytest.raises(DataError, match=rf"t\.npz is not a complete \.npz archive \(.*({fault})"):
        read_npz(bytes(data), "t.npz")


def test_only_what_numpy_packs_with_is_unpacked():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as made:
        made.writestr("x.npy", member())
    with pytest.raises(DataError) as caught:
        read_npz(file.getvalue(), "t.npz")
    assert str(caught.value) == "t.npz: array 'x' is compressed in a way that NumPy does not use; write it again"


def test_a_damaged_member_is_refused():
    data = bytearray(archive(x=member(data=bytes(range(16)))))
    data[-100] ^= 255
    with pytest.raises(DataError, match=r"t\.npz"):
        read_npz(bytes(data), "t.npz")


def test_an_archive_that_is_a_bomb(monkeypatch):
    data = archive(x=member(shape="(1000000,)", data=b"\0" * 8_000_000))
    assert len(read_npz(data, "t.npz")["x"]) == 1_000_000
    monkeypatch.setattr(compression, "ALWAYS_ALLOWED", 1_000_000)
    with pytest.raises(DataError, match=r"t\.npz unpacks to more than \d+ MB, which is over 200 times its size"):
        read_npz(data, "t.npz")


def test_members_that_are_no_arrays():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("x.npy", member())
        made.writestr("code.py", b"1")
    with pytest.raises(DataError) as caught:
        read_npz(file.getvalue(), "t.npz")
    assert str(caught.value) == "t.npz has the member 'code.py', which is not an array; write it again with numpy.savez"
