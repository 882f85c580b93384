"""Daily exchange rates of eight currencies."""

import gzip
from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.split_files import csv_from_lines
from tidegate.data.web import Web

GZIP = b"\x1f\x8b"
TRAIN, VALID = 4552, 6070


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the days by split, with a header. The file on the web is compressed.

    >>> parse({"all": b"0.785500,1.611000\\n"})["all"].data
    b'c1,c2\\n0.785500,1.611000\\n'
    """
    data = files["all"]
    text = (gzip.decompress(data) if data.startswith(GZIP) else data).decode("ascii")
    lines = [line for line in text.split("\n") if line]
    header = ",".join(f"c{c}" for c in range(1, lines[0].count(",") + 2))
    parts = {"train": lines[:TRAIN], "val": lines[TRAIN:VALID], "test": lines[VALID:], "all": lines}
    return {split: csv_from_lines(header, part) for split, part in parts.items()}


SET = DataSet(
    title="Exchange rates, daily, of eight countries, 1990 to 2016",
    task="forecast",
    licence="none stated; public exchange rates, collected by Lai et al. 2018",
    source="github laiguokun/multivariate-time-series-data at 7f402f18, exchange_rate (without dates and names)",
    published=(
        "relative squared error, horizon 3 / 6 / 12 / 24, Lai et al. 2018: "
        "AR 0.0228 / 0.0279 / 0.0353 / 0.0445, LSTNet 0.0226 / 0.0280 / 0.0356 / 0.0449",
        "the same, measured on these files: the last value 0.0171 / 0.0238 / 0.0329 / 0.0434, which is better",
    ),
    split="60, 20 and 20 % by time: rows 0 to 4551 train, to 6069 val, to 7587 test; "
    "all: the three in one file, so that test steps have their past",
    rows={"train": 4552, "val": 1518, "test": 1518, "all": 7588},
    labels=0,
    sources=(
        Folder(
            "exchange_rate",
            {
                "all": File(
                    "exchange_rate.txt", 546336, "0127465b51e3cd3c360f8eb2be30cfd294689a2a55903eb8245aafc396626c7f"
                )
            },
        ),
        Web(
            "https://raw.githubusercontent.com/laiguokun/multivariate-time-series-data/7f402f185cc2435b5e66aed13a3b560ed142e023/exchange_rate/",
            {
                "all": File(
                    "exchange_rate.txt.gz", 177142, "6a4fbb561dcdee43f071a83badbeec9223a335552278348656738b556f1c2e9d"
                )
            },
        ),
    ),
    sums={
        "train": "85bb7c02df3c0e61b624b321ef50118883b0d78f80e9a2a6d29a9c631fa9ee81",
        "val": "ffa5a9379d7fd4b1dfc565f7737db90e61df50dbd7238273236aa98868fde7fb",
        "test": "e95b243b4bac7f9bdeefdfafd9a9097b2c10f7e1b84408f6517659a9ed480997",
        "all": "54a0e999ffb154dc8aaa82f2bd791ab45f07a726769c5d14be911bf814d648a9",
    },
    parse=parse,
    unit="steps",
    flags="--horizon 24",
)
