"""The program has another state than the file."""

from typing import Any

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "state.arrays[4]: is"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: rename(node["program"]))


def rename(program: dict[str, Any]) -> None:
    program["state"], program["next"] = {"other": program["state"]["mean"]}, {"other": program["next"]["mean"]}
    program["operations"][0] = ["state", "other"]


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)
