"""Every hostile file is refused in its sentence, within the limits; and the limits are really measured."""

import runpy

import hostile
import pytest
from loader import Ended, Loader


@pytest.fixture(scope="module")
def loader():
    with Loader() as process:
        yield process


@pytest.mark.parametrize("model", ["classifier", "seasonal", "stations", "gestures"])
def test_the_valid_file_loads(tmp_path, loader, model):
    (tmp_path / "valid").write_bytes(hostile.valid(model))
    verdict = loader.load(tmp_path / "valid")
    assert verdict.sentence == "loaded"
    assert 0 < verdict.cpu_s < hostile.CPU_S
    assert 5 < verdict.memory_mb < hostile.MEMORY_MB


@pytest.mark.parametrize("model", ["classifier", "seasonal", "stations"])
def test_the_valid_state_is_restored(tmp_path, loader, model):
    (tmp_path / "valid").write_bytes(hostile.valid(model))
    (tmp_path / "state").write_bytes(hostile.valid_state(model))
    assert loader.load(tmp_path / "valid", tmp_path / "state").sentence == "loaded"


@pytest.mark.parametrize("script", hostile.SCRIPTS, ids=lambda path: path.stem)
def test_refused_within_the_limits(tmp_path, loader, script):
    module = runpy.run_path(str(script))
    of_state, model = hostile.attacks_state(script), module.get("MODEL", "classifier")
    verdict = hostile.verdict(loader, module["attack"], of_state, tmp_path, model)
    assert module["REFUSED"] in verdict.sentence
    assert "\n" not in verdict.sentence
    assert len(verdict.sentence) < 700
    assert verdict.cpu_s < hostile.CPU_S
    assert verdict.memory_mb < hostile.MEMORY_MB


def test_there_are_attacks():
    of_states = [script for script in hostile.SCRIPTS if hostile.attacks_state(script)]
    assert len(of_states) >= 25
    assert len(hostile.SCRIPTS) - len(of_states) >= 50


def test_a_process_that_needs_more_is_seen(tmp_path):
    """Guard of the guard: memory and time of the loading process show up in its verdict."""
    (tmp_path / "valid").write_bytes(hostile.valid())
    with Loader("held = bytearray(b'x') * 120_000_000\nsum(range(60_000_000))\n") as loader:
        verdict = loader.load(tmp_path / "valid")
    assert verdict.memory_mb > hostile.MEMORY_MB
    assert verdict.cpu_s > 0.3


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "status -11"),
        ("import time; time.sleep(30)", "it hung for 1 s"),
        ("import os; os._exit(3)", "status 3"),
        ("raise KeyError(7)", "KeyError: 7"),
    ],
    ids=["crash", "hang", "exit", "traceback"],
)
def test_a_crash_or_a_hang_names_its_file_and_spares_the_next(tmp_path, before, found):
    for name in ("bad", "good"):
        (tmp_path / name).write_bytes(hostile.valid())
    flag = tmp_path / "first"
    flag.touch()
    once = f"import os\nif os.path.exists({str(flag)!r}):\n    os.unlink({str(flag)!r})\n    {before}"
    with Loader(once, seconds=1) as loader:
        with pytest.raises(Ended, match=found) as caught:
            loader.load(tmp_path / "bad")
        assert str(tmp_path / "bad") in str(caught.value)
        assert loader.load(tmp_path / "good").sentence == "loaded"
