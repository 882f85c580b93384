"""Seattle temperatures: hourly, one year."""

from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.split_files import csv_from_lines
from tidegate.data.wheel import Wheel

TEST = "2010/10/01"


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the hours by split.

    >>> parse({"all": b"date,temp\\n2010/01/01 00:00,39.4\\n"})["train"].data
    b'time,temperature\\n2010-01-01T00:00,39.4\\n'
    """
    _, *lines = files["all"].decode("ascii").split("\n")
    found = {True: [], False: []}  # type: dict[bool, list[str]]
    for line in filter(None, lines):
        found[line < TEST].append(line.replace("/", "-").replace(" ", "T"))
    parts = {"train": found[True], "test": found[False], "all": found[True] + found[False]}
    return {split: csv_from_lines("time,temperature", part) for split, part in parts.items()}


SET = DataSet(
    title="Seattle temperatures in degrees Fahrenheit, hourly, 2010",
    task="forecast",
    licence="public domain (NOAA); vega_datasets, which holds them, is MIT-licensed",
    source="the package vega_datasets 0.9.0",
    published=(
        "mean absolute error, horizon 24, every origin of the test, measured on these files: ridge regression 0.0682, "
        "the value of a day before 0.202, the last value 2.59",
    ),
    split="train: until September 2010; test: October to December; all: both, so that test steps have their past",
    rows={"train": 6551, "test": 2208, "all": 8759},
    labels=0,
    sources=(
        Wheel(
            "vega_datasets",
            "0.9.0",
            1,
            {
                "all": File(
                    "vega_datasets/_data/seattle-temps.csv",
                    192707,
                    "c220666521ff4bec4ffb6f0d9acfdc5c1056564b1aad6f78d3b06aa0a0c8b085",
                )
            },
        ),
    ),
    sums={
        "train": "1019d740cefe44278e49a155bf594a6ad7fd8d5710350e3c868460ec35402407",
        "test": "3b9734fa3efed9760ac5f5db135fca60a7d9b5edccb05802a9a5d64fa9eed8da",
        "all": "36b05b4a2b89c65748c801f2a5c37a0dbfde3bb34affb87de34489637a80ff3c",
    },
    parse=parse,
    unit="steps",
    flags="--time time --values temperature --horizon 24",
)
