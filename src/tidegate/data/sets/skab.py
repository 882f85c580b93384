"""SKAB: a pump on a test bench, and what goes wrong with it."""

import re
from collections.abc import Mapping, Sequence

from tidegate.data.archive import read_members
from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.split_files import csv_from_lines

TRAIN = 400  # steps of each record with a fault
NORMAL = "anomaly-free"
SENSORS = (
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
)


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the steps by split, with the columns id, time, those of the sensors, and anomaly (0 or 1).

    A record without a fault has no column of anomalies; all of it is normal.

    >>> import io, tarfile
    >>> file = io.BytesIO()
    >>> data = b"datetime;Current;anomaly;changepoint\\n2020-03-09 10:14:33;1.5;1.0;0.0\\n"
    >>> with tarfile.open(fileobj=file, mode="w:xz") as archive:
    ...     member = tarfile.TarInfo("skab/data/valve1/0.csv")
    ...     member.size = len(data)
    ...     archive.addfile(member, io.BytesIO(data))
    >>> parse({"all": file.getvalue()})["all"].data.split(b"\\n")[1]
    b'valve1/0,2020-03-09 10:14:33,1.5,1'
    """
    members = read_members(files["all"], ".csv")
    records = {path.partition("data/")[2].removesuffix(".csv"): _read(data) for path, data in members.items()}
    faults = sorted((name for name in records if not name.startswith(NORMAL)), key=_in_order)
    normal = [f"{NORMAL},{line}" for name in records if name.startswith(NORMAL) for line in records[name]]
    parts = {
        "train": [*normal, *_join(faults, records, slice(TRAIN))],
        "test": _join(faults, records, slice(TRAIN, None)),
        "all": _join(faults, records, slice(None)),
    }
    header = ",".join(("id", "time", *SENSORS, "anomaly"))
    return {split: csv_from_lines(header, lines) for split, lines in parts.items()}


def _read(data: bytes) -> list[str]:
    """Return the lines of a record: its time, the sensors, and whether the step is an anomaly."""
    header, *lines = data.decode("ascii").splitlines()
    labelled = header.endswith(";anomaly;changepoint")
    rows = [line.split(";") for line in lines]
    return [",".join([*row[:-2], row[-2][0]] if labelled else [*row, "0"]) for row in rows]


def _in_order(name: str) -> list[tuple[str, int]]:
    """Return a key by which 2 comes before 10."""
    return [(word, int(number or 0)) for word, number in re.findall(r"(\D+)(\d*)", name)]


def _join(names: Sequence[str], records: Mapping[str, list[str]], part: slice) -> list[str]:
    return [f"{name},{line}" for name in names for line in records[name][part]]


SET = DataSet(
    title="SKAB, 8 sensors of a pump on a test bench, once a second: 34 records of about 19 minutes with a fault each",
    task="detect",
    licence="GPL-3.0; cite Katser and Kozitsin 2020",
    source="github waico/SKAB at b2c0d46c",
    published=(
        "F1 of points, false alarm rate, missed alarm rate, in percent (README of SKAB): convolutional autoencoder 78, "
        "13.6, 28.0; MSET 78, 39.7, 14.1; LSTM autoencoder 74, 30.0, 25.9; T2 66; LSTM 54; isolation forest 29",
        "F1 of points and AUROC in percent, fitted to the first 400 steps of each record, at a threshold that one "
        "normal step in 1,000 exceeds, measured on these files, whole records: T2 of levels 74.2, 87.3; "
        "autoregression of 10 steps 73.6, 88.2",
    ),
    split="train: a record without a fault, and the first 400 steps of each with one, as the authors give them (296 of "
    "those in other/2 are anomalous); test: the steps after those; all: the 34 records whole",
    rows={"train": 23005, "test": 23801, "all": 37401},
    labels=0,
    sources=(
        Folder(
            "skab",
            {
                "all": File(
                    "skab_data.tar.xz", 895676, "a5816086641498465594cecb49893e7f8e9dccdf15660078742276c3f3be8486"
                )
            },
        ),
    ),
    sums={
        "train": "85cffac6a1cd16ad46b8e0de7c6a95a92d5ea50a8ee03de844729db55c606d74",
        "test": "408f6ea7a0637112416e548aaa29e31662411e710a0d43fe843dbce2c6d2b556",
        "all": "73e0bf7c2d39f319e43db375b0b1743adca88fb5f0c685d5035d2178612e6b0f",
    },
    parse=parse,
    unit="steps",
    flags=f"--time time --id id --values '{','.join(SENSORS)}'",
)
