"""Water flow: a branch of a pipeline, hourly, two months."""

from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.split_files import csv_from_lines
from tidegate.data.wheel import Wheel

TRAIN = 888


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the hours by split.

    >>> parse({"all": b"Time,Water flow [l/s]\\n2022-03-20T11:00:00+01:00,100.59\\n"})["train"].data
    b'time,flow\\n2022-03-20T11:00:00+01:00,100.59\\n'
    """
    _, *lines = files["all"].decode("ascii").replace("\r", "").split("\n")
    lines = [line for line in lines if line]
    parts = {"train": lines[:TRAIN], "test": lines[TRAIN:], "all": lines}
    return {split: csv_from_lines("time,flow", part) for split, part in parts.items()}


SET = DataSet(
    title="Water flow in litres per second through a branch of a pipeline, hourly, two months with four anomalies",
    task="forecast",
    licence="donated by Tecnojest s.r.l. to river, which holds them and is BSD-licensed",
    source="the package river 0.22.0",
    published=(
        "mean absolute error, horizon 24, every origin of the test, measured on these files: the last value 0.713, "
        "ridge regression 2.47",
    ),
    split="train: the first 888 hours; test: the other 380; all: both, so that test steps have their past",
    rows={"train": 888, "test": 380, "all": 1268},
    labels=0,
    sources=(
        Wheel(
            "river",
            "0.22.0",
            3,
            {
                "all": File(
                    "river/datasets/water-flow.csv",
                    41672,
                    "6c84efeb8b148dd2ace656f11f5bd90de22dad014b094e3baafd8dbca69c83dc",
                )
            },
            (
                "--platform",
                "manylinux2014_x86_64",
                "--python-version",
                "3.11",
                "--implementation",
                "cp",
                "--abi",
                "cp311",
            ),
        ),
    ),
    sums={
        "train": "b9f8ae8e51aaad4114e07ad5e1cf8a3285230292b6d1a8f5a3b1d8eec153a4a1",
        "test": "d99bf1224b62b89825ce4637a8c828a0df758311530ea6dbad22fdeefe760607",
        "all": "94848af06444cfcf5cec4a7c06d92170e1fc68294ef53d7b6e78e2778f6f3562",
    },
    parse=parse,
    unit="steps",
    flags="--time time --values flow --horizon 24",
)
