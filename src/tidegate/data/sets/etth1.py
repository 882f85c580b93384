"""ETTh1: hourly loads and oil temperature of a transformer."""

from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.split_files import csv_from_lines
from tidegate.data.web import Web

FILES = {
    "all": File("ETTh1.csv", 2589657, "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
}
TRAIN, VALID, TEST = 8640, 11520, 14400


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the hours by split, without those after the official test.

    >>> parse({"all": b"date,OT\\n2016-07-01 00:00:00,30.5\\n"})["train"].data
    b'date,OT\\n2016-07-01 00:00:00,30.5\\n'
    """
    header, *lines = files["all"].decode("ascii").split("\n")
    lines = [line for line in lines if line][:TEST]
    parts = {"train": lines[:TRAIN], "val": lines[TRAIN:VALID], "test": lines[VALID:], "all": lines}
    return {split: csv_from_lines(header, part) for split, part in parts.items()}


SET = DataSet(
    title="ETTh1, six loads and the oil temperature (OT) of a transformer, hourly",
    task="forecast",
    licence="CC BY-ND 4.0; cite Zhou et al. 2021",
    source="github zhouhaoyi/ETDataset at 1d16c8f4, ETT-small/ETTh1.csv",
    published=(
        "MSE / MAE of all 7 columns, each scaled by mean and deviation of train, horizon 96: SegRNN 0.351 / 0.392 "
        "(look-back 720), PatchTST 0.375 / 0.404, DLinear 0.381 / 0.407, iTransformer 0.396 / 0.426",
        "the same, measured on these files: ridge regression per column, look-back 336: 0.377 / 0.398",
    ),
    split="official 12, 4 and 4 months: rows 0 to 8639 train, to 11519 val, to 14399 test (from 2017-10-24); "
    "all: the three in one file, so that test steps have their past",
    rows={"train": 8640, "val": 2880, "test": 2880, "all": 14400},
    labels=0,
    sources=(
        Folder("etth1", FILES),
        Web(
            "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small/",
            FILES,
        ),
    ),
    sums={
        "train": "a06338d5f985608f8d445769917d91cd6c68a35068be12164f2e2231b02e3e77",
        "val": "1cd545c2c30e561f6a8cd75e6b282a330309b2ba4f13424f01f9088e5d3bffa5",
        "test": "e11438f125c72eefe5a37a825dce3843d25ee697329959b7cc592f184f809a70",
        "all": "fe15f28bbaed7f8bc3854be7b87306268cc60df6b6692fbb784f43017992dddf",
    },
    parse=parse,
    unit="steps",
    flags="--time date --horizon 96",
)
