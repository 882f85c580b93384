"""The old file survives every failure, and a failure is one sentence."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from tidegate.atomic import replace
from tidegate.errors import TidegateError


def fill(path, content):
    with replace(path) as file:
        file.write(content)


def fill_then_raise(path, fault):
    with replace(path) as file:
        file.write(b"new")
        raise fault


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "model"
    fill(path, b"one")
    fill(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_fault_in_the_block_keeps_the_old_file(tmp_path, fault):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    with pytest.raises(fault):
        fill_then_raise(path, fault)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]


def test_mode_respects_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        fill(tmp_path / "model", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o640


def test_follows_a_symbolic_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    fill(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_name_of_255_characters_works(tmp_path):
    fill(tmp_path / ("n" * 255), b"x")
    with pytest.raises(TidegateError, match="name is too long"):
        fill(tmp_path / ("n" * 256), b"x")
    assert len(os.listdir(tmp_path)) == 1


def test_missing_folder(tmp_path):
    with pytest.raises(TidegateError, match=r"cannot write .*: its folder does not exist; create it first"):
        fill(tmp_path / "none" / "model", b"x")


def test_folder_and_device_are_refused(tmp_path):
    with pytest.raises(TidegateError, match="it is a folder"):
        fill(tmp_path, b"x")
    with pytest.raises(TidegateError, match="no regular file"):
        fill("/dev/full", b"x")


def test_a_full_disk_is_a_sentence(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    with pytest.raises(TidegateError, match=r"cannot write .*model: the disk is full"):
        fill_then_raise(path, OSError(errno.ENOSPC, "No space left on device"))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]


def test_a_fault_with_another_file_is_not_called_ours(tmp_path):
    with pytest.raises(FileNotFoundError), replace(tmp_path / "model"):
        (tmp_path / "absent").read_bytes()
    assert os.listdir(tmp_path) == []


LIMITED = """
import resource, signal, sys
from tidegate.atomic import replace
from tidegate.errors import TidegateError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with replace(sys.argv[1]) as file:
        for _ in range(100):
            file.write(bytes(1000))
            file.flush()
except TidegateError as error:
    print(error)
"""


def test_a_write_that_the_system_cuts_short(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=True)
    assert "larger than this file system or process may write" in done.stdout
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]
