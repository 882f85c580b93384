"""Fifteen layers of four thousand operations each: each program is allowed, but not all of them."""

from hostile import run, with_document

MODEL = "attentive"
REFUSED = "operations; at most 4096 are allowed"


def attack(valid: bytes) -> bytes:
    def repeat(document: dict) -> None:  # type: ignore[type-arg]
        nodes = document["graphs"]["layers"]["nodes"]
        nodes[3]["program"]["operations"] += [["exp", 1]] * 4000
        nodes[3:] = [nodes[3] | {"from": [2 + i]} for i in range(15)] + [nodes[4] | {"from": [17]}]

    return with_document(valid, repeat)


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)
