"""Read the members of a tar archive that a data set comes in."""

from __future__ import annotations

import io
import tarfile


def read_members(data: bytes, suffix: str) -> dict[str, bytes]:
    """Return the files of a tar archive whose names end this way, by path, in alphabetical order.

    Nothing is written to disk, so it does not matter where their paths lead. The caller has verified the checksum of
    `data`, so a damaged archive is a bug.

    Args:
        data: the archive, which may be compressed with gzip, bzip2 or xz.
        suffix: of the names, such as ".csv".

    >>> file = io.BytesIO()
    >>> with tarfile.open(fileobj=file, mode="w:xz") as archive:
    ...     member = tarfile.TarInfo("data/a.csv")
    ...     member.size = 3
    ...     archive.addfile(member, io.BytesIO(b"1,2"))
    >>> read_members(file.getvalue(), ".csv")
    {'data/a.csv': b'1,2'}
    """
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() and member.name.endswith(suffix) else None
            if file is not None:
                found[member.name] = file.read()
    return dict(sorted(found.items()))
