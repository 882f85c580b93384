"""A convolution that remembers gigabytes of each stream."""

from typing import Any

from hostile import run, with_document

REFUSED = "width is 1048576"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: widen(document["graphs"]["layers"]["nodes"]))


def widen(layers: list[dict[str, Any]]) -> None:
    names = {"weight": "layers.1.W", "bias": "layers.1.b"}
    layers.insert(
        1,
        {
            "layer": "conv",
            "from": [0],
            "inputs": 5,
            "size": 5,
            "width": 1 << 20,
            "centred": False,
            "activation": "none",
            "tensors": names,
        },
    )
    for i, node in enumerate(layers[2:]):
        node["from"] = [i + 1]


if __name__ == "__main__":
    run(attack, REFUSED)
