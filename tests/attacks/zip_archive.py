"""A zip archive, as torch.save makes them."""

import io
import zipfile

from hostile import run

REFUSED = "this looks like a zip archive, which tidegate never opens"


def attack(valid: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", valid)
    return file.getvalue()


if __name__ == "__main__":
    run(attack, REFUSED)
