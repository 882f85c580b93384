from __future__ import annotations

import itertools
import json
from hashlib import sha256

import numpy as np
import pytest

from tidegate.errors import StateError
from tidegate.runtime import Predictor, State
from tidegate.verify.samples import sample


@pytest.fixture(scope="module")
def state() -> State:
    stream = Predictor(sample(size=6, over=("mean", "attention"))).stream()
    stream.push("where is my ca")
    return stream.state


def test_a_state_is_named_read_only_arrays(state: State) -> None:
    assert list(state.arrays) == [
        "steps",
        "layers.1.h",
        "layers.2.mean",
        "layers.2.peak",
        "layers.2.weight",
        "layers.2.sum",
    ]
    assert state.steps == 3
    assert state.input_state == b"ca"
    assert state.arrays["layers.1.h"].shape == (6,)
    assert state.arrays["layers.1.h"].base is not None
    with pytest.raises(ValueError, match="read-only"):
        state.arrays["layers.1.h"][0] = 1
    with pytest.raises(ValueError, match="read-only"):
        state.output[0] = 1


def test_bytes_and_back(state: State) -> None:
    data = state.to_bytes()
    again = State.from_bytes(data)
    assert again == state
    assert again.to_bytes() == data
    assert all((again.arrays[n] == v).all() for n, v in state.arrays.items())


def test_every_flipped_bit_and_every_cut_is_found(state: State) -> None:
    data = state.to_bytes()
    for at, bit in itertools.product(range(len(data)), range(8)):
        changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        with pytest.raises(StateError):
            State.from_bytes(changed)
    for end in range(0, len(data), 3):
        with pytest.raises(StateError):
            State.from_bytes(data[:end])


def forge(state: State, **fields: object) -> bytes:
    """Return the state's bytes with other header fields and a valid checksum."""
    data = state.to_bytes()
    length = int.from_bytes(data[20:24], "little")
    header = json.dumps({**json.loads(data[24 : 24 + length]), **fields}).encode()
    body = data[:20] + len(header).to_bytes(4, "little") + header + data[24 + length : -32]
    return body + sha256(body).digest()


def add_checksum(body: bytes) -> bytes:
    return body + sha256(body).digest()


def test_what_is_wrong_is_said(state: State) -> None:
    data = state.to_bytes()
    cases = {
        "these bytes are not a state": b"PK\3\4" + data,
        "cut short: it has 20 bytes": data[:20],
        "cut short: its header has": data[:100],
        "cut short: it has": data[:-1],
        "has bytes after its end": data + b"\0",
        "damaged: its SHA-256 does not match": data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
        "version 3; this tidegate reads version 2; upgrade": add_checksum(data[:16] + b"\3\0\0\0" + data[20:-32]),
        "version 2, and no array in it grows": add_checksum(data[:16] + b"\2\0\0\0" + data[20:-32]),
        "version 0; expected 1 to 2": add_checksum(data[:16] + b"\0\0\0\0" + data[20:-32]),
        "header has 4294967295 bytes; at most": data[:20] + b"\xff\xff\xff\xff" + data[24:],
        "pending has 33554433 bytes; at most": forge(state, pending=(32 << 20) + 1),
        "expected a size": forge(state, block=-8),
        "must have the keys": forge(state, more=1),
        "weights_hash is 7": forge(state, weights_hash=7),
        "each have a name, dtype, shape and offset": forge(state, arrays=[{"name": "steps"}]),
        "first array must be steps": forge(
            state, arrays=[{"name": "h", "dtype": "float32", "shape": [1], "offset": 0}]
        ),
    }
    for message, bad in cases.items():
        with pytest.raises(StateError, match=message):
            State.from_bytes(bad)


@pytest.mark.parametrize(
    "array",
    [
        {"name": "steps", "dtype": "int64", "shape": [1], "offset": 1 << 30},
        {"name": "steps", "dtype": "int64", "shape": [1 << 40], "offset": 0},
        {"name": "steps", "dtype": ["x"], "shape": [1], "offset": 0},
        {"name": "steps", "dtype": "int64", "shape": [1], "offset": ""},
        {"name": "steps", "dtype": "int64", "shape": [-1], "offset": 0},
        {"name": "steps", "dtype": "int64", "shape": [1], "offset": -8},
        {"name": 7, "dtype": "int64", "shape": [1], "offset": 0},
    ],
)
def test_arrays_outside_their_block_are_refused(state: State, array: dict[str, object]) -> None:
    with pytest.raises(StateError, match="within the block"):
        State.from_bytes(forge(state, arrays=[array]))


def test_negative_steps_are_refused(state: State) -> None:
    block = np.array(state.block)
    block[:8].view(np.int64)[0] = -1
    bad = State(
        block, [{"name": "steps", "dtype": "int64", "shape": [1], "offset": 0}], state.output, b"", "0" * 64, "0" * 64
    )
    with pytest.raises(StateError, match="has seen -1 steps"):
        State.from_bytes(bad.to_bytes())
