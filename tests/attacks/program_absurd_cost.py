"""Twenty-five registers of half a million numbers each, doubled from four in a few bytes."""

from typing import Any

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "numbers per step; at most 4194304 are allowed"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: widen(node["program"]))


def widen(program: dict[str, Any]) -> None:
    operations = program["operations"]
    last = program["output"]
    for _ in range(17):
        operations.append(["concat", last, last])
        last = len(operations) - 1
    operations += [["exp", last + i] for i in range(25)]


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)
