"""A convolution that remembers gigabytes of each stream."""

from typing import Any

from hostile import run, with_document

REFUSED = "width is 1048576"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: widen(document["layers"]))


def widen(layers: list[dict[str, Any]]) -> None:
    names = {"weight": "layers.1.W", "bias": "layers.1.b"}
    layers.insert(
        1,
        {
            "kind": "conv",
            "inputs": 5,
            "size": 5,
            "width": 1 << 20,
            "centred": False,
            "activation": "none",
            "tensors": names,
        },
    )


if __name__ == "__main__":
    run(attack, REFUSED)
