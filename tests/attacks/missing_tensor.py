"""The document names a tensor that has another name in the file."""

from hostile import join, run, split

REFUSED = "layers[1].tensors.R: there is no tensor 'layers.1.R' in the file"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    header["hidden"] = header.pop("layers.1.R")
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)
