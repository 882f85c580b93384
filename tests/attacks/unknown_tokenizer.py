"""An unknown tokenizer."""

from hostile import run, with_document

REFUSED = "inputs.x: unknown kind 'eval'; choose one of word, space, char, byte"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["tokenizer"].update(kind="eval"))


if __name__ == "__main__":
    run(attack, REFUSED)
