"""A zip archive, as torch.save writes it."""

import io
import zipfile

from hostile import run

REFUSED = "looks like a PyTorch file (.pt); expected safetensors; opening it can run code"


def attack(valid: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", valid)
    return file.getvalue()


if __name__ == "__main__":
    run(attack, REFUSED)
