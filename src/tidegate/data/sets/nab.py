"""NAB: the Numenta anomaly benchmark, series of servers, traffic, sensors and tweets."""

import json
from collections.abc import Mapping, Sequence

from tidegate.data.archive import read_members
from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.split_files import csv_from_lines

WINDOWS = "combined_windows.json"
PROBATION, LONGEST = 0.15, 5000  # share of a series that is not judged, and of how many steps at most


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the steps by split, with the columns id, time, value and anomaly: 1 in the windows of the benchmark.

    A step whose time is not later than those before it is left out: clocks that were set back by an hour, and rows that
    stand there twice.

    >>> import io, tarfile
    >>> file = io.BytesIO()
    >>> members = {
    ...     "nab/data/real/a.csv": b"timestamp,value\\n2014-04-01 00:00:00,1.5\\n2014-04-01 00:00:00,2\\n",
    ...     "nab/labels/combined_windows.json": b'{"real/a.csv": [["2014-04-01 00:00:00.0", "2014-04-01 01:00:00.0"]]}',
    ... }
    >>> with tarfile.open(fileobj=file, mode="w:xz") as archive:
    ...     for name, data in members.items():
    ...         member = tarfile.TarInfo(name)
    ...         member.size = len(data)
    ...         archive.addfile(member, io.BytesIO(data))
    >>> parse({"all": file.getvalue()})["all"].data
    b'id,time,value,anomaly\\nreal/a,2014-04-01 00:00:00,1.5,1\\n'
    """
    windows = next(json.loads(d) for path, d in read_members(files["all"], ".json").items() if path.endswith(WINDOWS))
    parts: dict[str, list[str]] = {"train": [], "test": [], "all": []}
    for path, data in read_members(files["all"], ".csv").items():
        name = path.partition("data/")[2]
        lines = _label(name.removesuffix(".csv"), data.decode("ascii"), windows[name])
        first = min(int(PROBATION * len(lines)), int(PROBATION * LONGEST))
        for split, part in {"train": lines[:first], "test": lines[first:], "all": lines}.items():
            parts[split].extend(part)
    return {split: csv_from_lines("id,time,value,anomaly", lines) for split, lines in parts.items()}


def _label(name: str, text: str, windows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a series. Times are compared as text, as all are written alike, to the second."""
    ends = [(first[:19], last[:19]) for first, last in windows]
    lines, latest = [], ""
    for line in text.splitlines()[1:]:
        time = line.partition(",")[0]
        if time > latest:
            anomaly = any(first <= time <= last for first, last in ends)
            lines.append(f"{name},{line},{int(anomaly)}")
            latest = time
    return lines


SET = DataSet(
    title="NAB, the Numenta anomaly benchmark: 58 series of servers, traffic, sensors, tweets and made-up data",
    task="detect",
    licence="MIT (formerly AGPL-3); cite Lavin and Ahmad 2015",
    source="github numenta/NAB at ea702d75; without 49 of its 365,558 rows, whose time is not later than others before",
    published=(
        "score of the profile standard, its thresholds chosen on the series that are scored (README of NAB): ARTime "
        "74.9, HTM 70.5, CAD OSE 69.9, KNN-CAD 58.0, relative entropy 54.6, random cut forest 51.7, windowed Gaussian "
        "39.6, random 11.0",
    ),
    split="train: the first 15 % of each series, 750 steps at most, which the benchmark does not judge; test: the "
    "rest; all: both, as the score of the benchmark needs it",
    rows={"train": 32710, "test": 332799, "all": 365509},
    labels=0,
    sources=(
        Folder(
            "nab",
            {
                "all": File(
                    "nab_data_labels.tar.xz",
                    1013568,
                    "61f73976bbf79e63a055fdf7a56c85c8d01e98a3284389b93f1465f52e04bf2e",
                )
            },
        ),
    ),
    sums={
        "train": "7b0c2d98681bd7ceb76d727e45101fe3a6fa236b0496eb826bdd2448413897b2",
        "test": "298f28f34abdd1aef857e74db5adc21cc827fab6f2414059546e6ddbb4215b75",
        "all": "a8d3624ffc4e810623c1c4886d1692b408a1ad06874feb209616d1a8a320a8bd",
    },
    parse=parse,
    unit="steps",
    flags="--time time --id id --values value",
)
