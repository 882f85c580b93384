"""Load: half-hourly demand for electricity in England and Wales."""

import ast
from collections.abc import Mapping
from datetime import datetime, timedelta

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.split_files import csv_from_lines
from tidegate.data.wheel import Wheel

FIRST = datetime(2000, 6, 5)
WEEK = 7 * 48
TRAIN = 8 * WEEK
FUNCTION = "load_taylor"


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the half hours by split: a list of integers in a Python function, which is parsed, not run.

    >>> parse({"code": b"def load_taylor():\\n    return [22262, 21756]\\n"})["all"].data
    b'time,load\\n2000-06-05T00:00,22262\\n2000-06-05T00:30,21756\\n'
    """
    tree = ast.parse(files["code"])
    function = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == FUNCTION)
    lists = (n for part in function.body for n in ast.walk(part) if isinstance(n, ast.List))
    loads = ast.literal_eval(next(lists))
    times = [FIRST + i * timedelta(minutes=30) for i in range(len(loads))]
    lines = [f"{time.isoformat(timespec='minutes')},{load}" for time, load in zip(times, loads, strict=True)]
    return {split: csv_from_lines("time,load", part) for split, part in _parts(lines).items()}


def _parts(lines: list[str]) -> dict[str, list[str]]:
    return {"train": lines[:TRAIN], "test": lines[TRAIN:], "all": lines}


SET = DataSet(
    title="Load, half-hourly demand for electricity in England and Wales in megawatts, twelve weeks",
    task="forecast",
    licence="none stated for the data of Taylor 2003; pmdarima, which holds them, is MIT-licensed",
    source="the package pmdarima 2.1.1, which states 5 June to 27 August 2000; a time is where its half hour begins",
    published=(
        "mean absolute error, horizon 48, every origin of the test weeks, measured on these files: "
        "the value of a week before 637.9, of a day before 1740.5",
    ),
    split="train: the first 8 weeks; test: the last 4, from 2000-07-31; all: both, so that test steps have their past",
    rows={"train": 2688, "test": 1344, "all": 4032},
    labels=0,
    sources=(
        Wheel(
            "pmdarima",
            "2.1.1",
            1,
            {
                "code": File(
                    "pmdarima/datasets/taylor.py",
                    35522,
                    "3df2f44f654bfe4338ea39350912140c9710fa776270f50a2529b2f5c87a4e19",
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
        "train": "e2efa187ce8b4ab4055b447fc7aeedc57dd3a811ee315bf3f7038e0ac2ca34cf",
        "test": "b527627082cebf8ca5d6af849854fc86eceb439f52846ce6873aabca4b7ff62e",
        "all": "55c771cdd00d483db86651f7d28621c422d2fd6bd5becd963b7b3dd27093ec93",
    },
    parse=parse,
    unit="steps",
    flags="--time time --values load --horizon 48",
)
