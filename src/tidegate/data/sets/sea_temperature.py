"""Sea surface temperature: a buoy in the Gulf of Maine, half-hourly."""

import gzip
from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.split_files import csv_from_lines
from tidegate.data.wheel import Wheel

TEST = "2016-12-01"


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the half hours by split. Of two rows of one time, the first counts.

    >>> import gzip
    >>> parse({"all": gzip.compress(b"time,t\\n2016-02-15T00:00:00Z,4.9\\n2016-02-15T00:00:00Z,5\\n")})["all"].data
    b'time,temperature\\n2016-02-15T00:00:00Z,4.9\\n'
    """
    _, *lines = gzip.decompress(files["all"]).decode("ascii").split("\n")
    rows: dict[str, str] = {}
    for line in filter(None, lines):
        rows.setdefault(line.partition(",")[0], line)
    train, test = ([line for line in rows.values() if (line < TEST) == before] for before in (True, False))
    parts = {"train": train, "test": test, "all": train + test}
    return {split: csv_from_lines("time,temperature", part) for split, part in parts.items()}


SET = DataSet(
    title="Sea surface temperature in degrees Celsius at a buoy in the Gulf of Maine, half-hourly, 13 months",
    task="forecast",
    licence="free to use and redistribute, not for legal use; cite NERACOOS, dataset B01_sbe37_all",
    source="the package bokeh_sampledata 2026.1",
    published=(
        "mean absolute error, horizon 48, every origin of the test, measured on these files: the last value 0.194, "
        "ridge regression 0.197",
    ),
    split="train: until November 2016; test: until March 2017; all: both, so that test steps have their past",
    rows={"train": 13896, "test": 5329, "all": 19225},
    labels=0,
    sources=(
        Wheel(
            "bokeh_sampledata",
            "2026.1",
            13,
            {
                "all": File(
                    "bokeh_sampledata/_data/sea_surface_temperature.csv.gz",
                    76453,
                    "529155ac773634b0dca439781a839487640db92e2bdb597e372a2b0ba0ffbff0",
                )
            },
        ),
    ),
    sums={
        "train": "2b4d572b5171566399c7a4d5da3a97fea0167b9858047e4cb8de47f867747f25",
        "test": "7e9c2cfb97b3b841d1354ff3aaa5d83650e69cece001a4f1264d2bc96f679004",
        "all": "24a07ec930e8fd43ee246d6b65fed79da42193318bd9155229b66956ab8d40f7",
    },
    parse=parse,
    unit="steps",
    flags="--time time --values temperature --horizon 48",
)
