"""Petroleum: nine weekly series of the industry in the United States."""

import csv
import io
import zipfile
from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.split_files import csv_from_lines
from tidegate.data.wheel import Wheel

TEST = "2015-01-01"


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the weeks by split, with a column for each series.

    >>> import io, zipfile
    >>> with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
    ...     archive.writestr("weeks", ",datetime,series_id,value\\n0,2000-06-02,a,1.5\\n1,2000-06-02,b,2\\n")
    >>> parse({"all": file.getvalue()})["train"].data
    b'time,series1,series2\\n2000-06-02,1.5,2\\n'
    """
    with zipfile.ZipFile(io.BytesIO(files["all"])) as archive:
        text = archive.read(archive.namelist()[0]).decode("utf-8")
    values: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        values.setdefault(row["datetime"], {})[row["series_id"]] = row["value"]
    names = list(next(iter(values.values())))
    lines = [",".join([time, *(of[name] for name in names)]) for time, of in sorted(values.items())]
    train, test = ([line for line in lines if (line < TEST) == before] for before in (True, False))
    parts, header = {"train": train, "test": test, "all": lines}, [f"series{i + 1}" for i in range(len(names))]
    return {split: csv_from_lines(",".join(["time", *header]), part) for split, part in parts.items()}


SET = DataSet(
    title="Petroleum, nine weekly series of prices, stocks and flows in the United States, 2000 to 2020",
    task="forecast",
    licence="public domain (U.S. Energy Information Administration); AutoTS, which holds them, is MIT-licensed",
    source="the package autots 1.0.4",
    published=(
        "MASE of all columns, horizon 13, every origin of the test, measured on these files: ridge regression 4.76, "
        "the last value 5.34",
    ),
    split="train: until 2014; test: from 2015; all: both, so that test steps have their past",
    rows={"train": 761, "test": 267, "all": 1028},
    labels=0,
    sources=(
        Wheel(
            "autots",
            "1.0.4",
            2,
            {
                "all": File(
                    "autots/datasets/data/eia_weekly.zip",
                    81380,
                    "86e65858209c3b2d8ada277dd9228a2188c0592e6c43bffcb750c7ae8c7c303b",
                )
            },
        ),
    ),
    sums={
        "train": "a51075b39dcb1ec7eafeac477e712768a979ad2c58dca60a729568b79061a340",
        "test": "eee9e8ae9ace2ae3594373bb01c44835d3b80a4a0df69b20365eed65d841dc07",
        "all": "ad5ba7e3fb563d327fc3bc3e5cdaa2653bf9db6816cf0bcbf919fc52d05f280c",
    },
    parse=parse,
    unit="steps",
    flags="--time time --horizon 13",
)
