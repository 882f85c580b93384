"""M4 Hourly: 414 series of the M4 competition."""

from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.split_files import csv_from_lines
from tidegate.data.web import Web

SUMS = {
    "train": (2347115, "ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f"),
    "test": (132820, "71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42"),
}
FILES = {split: File(f"Hourly-{split}.csv", *sums) for split, sums in SUMS.items()}
WEB_FILES = {split: File(f"{split.title()}/Hourly-{split}.csv", *sums) for split, sums in SUMS.items()}


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the series by split, unchanged, and in `all` each series with its test values appended, without quotes.

    >>> splits = parse({"train": b'"V1","V2"\\n"H1","5"\\n', "test": b'"V1","V2"\\n"H1","6"\\n'})
    >>> splits["all"].data
    b'V1,V2,V3\\nH1,5,6\\n'
    """
    lines_of = {split: data.decode("ascii").strip("\n").split("\n") for split, data in files.items()}
    splits = {split: csv_from_lines(header, lines) for split, (header, *lines) in lines_of.items()}
    return {
        **splits,
        "all": _joined(*([line.replace('"', "").split(",") for line in lines_of[s]] for s in ("train", "test"))),
    }


def _joined(train: list[list[str]], test: list[list[str]]) -> SplitFile:
    series = []
    for (name, *before), (same, *after) in zip(train[1:], test[1:], strict=True):
        assert name == same
        series.append([name, *(value for value in before if value), *after])
    header = [f"V{column}" for column in range(1, max(map(len, series)) + 1)]
    rows = [",".join(one + [""] * (len(header) - len(one))) for one in series]
    return csv_from_lines(",".join(header), rows)


SET = DataSet(
    title="M4 Hourly, 414 series of the M4 competition, 748 to 1,008 hours each",
    task="forecast",
    licence="none stated; data of the M4 competition, public for research",
    source="github Mcompetitions/M4-methods at 6c1067e5, Dataset (a row is a series)",
    published=(
        "sMAPE / MASE, horizon 48, season 24: ES-RNN 9.33 / 0.893, FFORMA 11.51 / 0.819, Theta 18.14 / 2.455, "
        "Naive2 18.38 / 2.395, the competition's RNN 14.70 / 3.05",
        "the same, measured on these files: the value of a day before 13.91 / 1.193",
    ),
    split="official: train, and in test the 48 hours that follow each; all: both, so that test steps have their past",
    rows={"train": 414, "test": 414, "all": 414},
    labels=0,
    sources=(
        Folder("m4_hourly", FILES),
        Web(
            "https://raw.githubusercontent.com/Mcompetitions/M4-methods/6c1067e5a57161249b17289a565178dc7a3fb3ca/Dataset/",
            WEB_FILES,
        ),
    ),
    sums={
        "train": "ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f",
        "test": "71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42",
        "all": "3a50542f3c56a185b22968605f5748ad6d1e21ba126499e86e86bfd38c493e31",
    },
    parse=parse,
    unit="series",
    flags="--layout rows --id V1 --horizon 48",
)
