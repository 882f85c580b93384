"""The old file survives every failure, and a failure is one sentence."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from tidegate.atomic import check, check_space, kind_from_start, lock, replace
from tidegate.errors import OptionError, TidegateError


def fill(path, content, **more):
    with replace(path, **more) as file:
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
    with pytest.raises(TidegateError, match="not a regular file"):
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


def test_an_output_that_is_an_input_is_refused_by_whatever_name(tmp_path, monkeypatch):
    data = tmp_path / "train.csv"
    data.write_bytes(b"text,label\n")
    (tmp_path / "link").symlink_to("train.csv")
    os.link(data, tmp_path / "hard")
    monkeypatch.chdir(tmp_path)
    for name in ("train.csv", "./train.csv", data, "link", "hard"):
        with pytest.raises(OptionError, match="an input of this command"):
            check(name, inputs=[data], force=True)
    with pytest.raises(OptionError, match=r"m\.safetensors is inside .*, which this command reads"):
        check(tmp_path / "m.safetensors", inputs=[tmp_path])
    check(tmp_path / "m.safetensors", inputs=[data, "gru"])
    assert data.read_bytes() == b"text,label\n"


MINE = kind_from_start("a file of mine", b"MINE")


@pytest.mark.parametrize("act", [check, lambda *args, **more: fill(*args, b"MINE new", **more)])
def test_a_file_of_another_kind_is_replaced_by_force_alone(tmp_path, act):
    path = tmp_path / "a"
    for content in (b"MINE old", b"", None):
        if content is not None:
            path.write_bytes(content)
        act(path, kind=MINE)
        path.unlink(missing_ok=True)
    path.write_bytes(b"letters")
    with pytest.raises(OptionError, match=r"a already exists and is not a file of mine; .* --force"):
        act(path, kind=MINE)
    assert path.read_bytes() == b"letters"
    act(path, kind=MINE, force=True)


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to("round")
    for path, message in (
        (tmp_path, "it is a folder"),
        (tmp_path / "pipe", "not a regular file"),
        ("/dev/null", "not a regular file"),
        (tmp_path / "no" / "a", "its folder does not exist"),
        (tmp_path / ("n" * 256), "name is too long"),
        (tmp_path / "round", "lead in a circle"),
        ("a\0b", "zero byte"),
    ):
        with pytest.raises(TidegateError, match=message):
            check(path)


def test_room_is_tried_and_nothing_is_left(tmp_path):
    check_space(tmp_path / "a", [0, 5000, 10])
    assert os.listdir(tmp_path) == []
    code = LIMITED.replace("import replace", "import check_space")
    code = code.replace("with replace(sys.argv[1]) as file:", "check_space(sys.argv[1], [1001])\n    for file in ():")
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a"], capture_output=True, text=True, check=True)
    assert "larger than this file system or process may write" in done.stdout
    assert os.listdir(tmp_path) == []


def test_one_process_at_a_time_writes_a_path(tmp_path):
    (tmp_path / "link").symlink_to("a")
    second = lock(tmp_path / "link")
    with (
        lock(tmp_path / "a"),
        lock(tmp_path / "b"),
        pytest.raises(TidegateError, match=rf"another process \({os.getpid()}\) is writing it"),
        second,
    ):
        pass
    assert os.listdir(tmp_path) == ["link"]


HOLDING = """
import sys, time
from tidegate.atomic import lock
with lock(sys.argv[1]):
    print(flush=True)
    time.sleep(60)
"""


def test_a_lock_ends_with_its_process(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDING, tmp_path / "a"], stdout=subprocess.PIPE)
    holder.stdout.readline()
    waited = []
    with lock(tmp_path / "a", lambda: (waited.append(True), holder.kill())):
        pass
    holder.wait()
    holder.stdout.close()
    assert waited == [True]
    assert os.listdir(tmp_path) == []
