"""Every hostile file is refused in its sentence and within the limits, and the limits are really measured."""

import runpy

import hostile
import pytest


@pytest.fixture(scope="module")
def forks():
    with hostile.start_loader() as process:
        yield process


@pytest.mark.parametrize("model", ["classifier", "seasonal", "stations", "gestures", "attentive"])
def test_the_valid_file_loads(tmp_path, forks, model):
    (tmp_path / "valid").write_bytes(hostile.valid(model))
    verdict = hostile.load(forks, tmp_path / "valid")
    assert verdict.sentence == "loaded"
    assert 0 < verdict.cpu_s < hostile.CPU_S
    assert 5 < verdict.memory_mb < hostile.MEMORY_MB


@pytest.mark.parametrize("model", ["classifier", "seasonal", "stations", "finals"])
def test_the_valid_state_is_restored(tmp_path, forks, model):
    (tmp_path / "valid").write_bytes(hostile.valid(model))
    (tmp_path / "state").write_bytes(hostile.valid_state(model))
    assert hostile.load(forks, tmp_path / "valid", tmp_path / "state").sentence == "loaded"


@pytest.mark.parametrize("script", hostile.SCRIPTS, ids=lambda path: path.stem)
def test_refused_within_the_limits(tmp_path, forks, script):
    module = runpy.run_path(str(script))
    of_state, model = hostile.attacks_state(script), module.get("MODEL", "classifier")
    verdict = hostile.measure(forks, module["attack"], of_state, tmp_path, model)
    assert module["REFUSED"] in verdict.sentence
    assert "\n" not in verdict.sentence
    assert len(verdict.sentence) < 700
    assert verdict.cpu_s < hostile.CPU_S
    assert verdict.memory_mb < hostile.MEMORY_MB


def test_there_are_attacks():
    of_states = [script for script in hostile.SCRIPTS if hostile.attacks_state(script)]
    assert len(of_states) >= 25
    assert len(hostile.SCRIPTS) - len(of_states) >= 50


def test_a_process_that_needs_more_is_seen(tmp_path, forks):
    """Test of the test: the memory and time of the loading process show up in its verdict."""
    (tmp_path / "valid").write_bytes(hostile.valid())
    waste = "held = bytearray(b'x') * 120_000_000\nsum(range(60_000_000))\n"
    verdict = hostile.load(forks, tmp_path / "valid", before=waste)
    assert verdict.memory_mb > hostile.MEMORY_MB
    assert verdict.cpu_s > 0.3


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "ended with status -11"),
        ("import time\ntime.sleep(30)\n", "hung for 1 s"),
        ("import os\nos._exit(3)\n", "ended with status 3"),
        ("raise KeyError(7)\n", "KeyError: 7"),
    ],
    ids=["crash", "hang", "exit", "traceback"],
)
def test_a_file_that_ends_its_process_is_named_and_spares_the_next(tmp_path, forks, before, found):
    """Test of the test: all files are loaded by forks of one process."""
    (tmp_path / "valid").write_bytes(hostile.valid())
    with pytest.raises(hostile.Ended, match=found) as caught:
        hostile.load(forks, tmp_path / "valid", before=before, seconds=1)
    assert str(caught.value).startswith(f"{tmp_path / 'valid'}: the process that loaded it")
    assert hostile.load(forks, tmp_path / "valid").sentence == "loaded"
