"""Every hostile file is refused in its sentence, within the limits; and the limits are really measured."""

import runpy

import hostile
import pytest


@pytest.mark.parametrize("model", ["classifier", "seasonal", "stations", "gestures"])
def test_the_valid_file_loads(tmp_path, model):
    (tmp_path / "valid").write_bytes(hostile.valid(model))
    verdict = hostile.load(tmp_path / "valid")
    assert verdict.sentence == "loaded"
    assert 0 < verdict.cpu_s < hostile.CPU_S
    assert 5 < verdict.memory_mb < hostile.MEMORY_MB


@pytest.mark.parametrize("model", ["classifier", "seasonal", "stations"])
def test_the_valid_state_is_restored(tmp_path, model):
    (tmp_path / "valid").write_bytes(hostile.valid(model))
    (tmp_path / "state").write_bytes(hostile.valid_state(model))
    assert hostile.load(tmp_path / "valid", tmp_path / "state").sentence == "loaded"


@pytest.mark.parametrize("script", hostile.SCRIPTS, ids=lambda path: path.stem)
def test_refused_within_the_limits(tmp_path, script):
    module = runpy.run_path(str(script))
    verdict = hostile.verdict(
        module["attack"], hostile.attacks_state(script), tmp_path, module.get("MODEL", "classifier")
    )
    assert module["REFUSED"] in verdict.sentence
    assert "\n" not in verdict.sentence
    assert len(verdict.sentence) < 700
    assert verdict.cpu_s < hostile.CPU_S
    assert verdict.memory_mb < hostile.MEMORY_MB


def test_there_are_attacks():
    of_states = [script for script in hostile.SCRIPTS if hostile.attacks_state(script)]
    assert len(of_states) >= 25
    assert len(hostile.SCRIPTS) - len(of_states) >= 50


def test_a_process_that_needs_more_is_seen(tmp_path, monkeypatch):
    """Guard of the guard: memory and time of the loading process show up in its verdict."""
    (tmp_path / "valid").write_bytes(hostile.valid())
    waste = "held = bytearray(b'x') * 120_000_000\nsum(range(60_000_000))\n"
    monkeypatch.setattr(hostile, "LOAD", waste + hostile.LOAD)
    verdict = hostile.load(tmp_path / "valid")
    assert verdict.memory_mb > hostile.MEMORY_MB
    assert verdict.cpu_s > 0.3
