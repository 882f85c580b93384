"""An unknown layer, named so that it would be looked for outside the folder of layers."""

from hostile import run, with_document

REFUSED = "layers[2]: unknown layer '../model'; choose one of"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["graphs"]["layers"]["nodes"][2].update(layer="../model"))


if __name__ == "__main__":
    run(attack, REFUSED)
