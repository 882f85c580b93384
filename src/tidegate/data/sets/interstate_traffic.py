"""Interstate traffic: vehicles an hour on a road in Minnesota."""

import csv
import io
import zipfile
from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.split_files import csv_from_lines
from tidegate.data.wheel import Wheel

TEST = "2018-03-01"


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the hours by split. An hour without a count has that of the hour before.

    >>> import io, zipfile
    >>> with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
    ...     archive.writestr("traffic", "datetime,traffic_volume\\n2016-10-01 00:00:00,7\\n2016-10-01 01:00:00,\\n")
    >>> parse({"all": file.getvalue()})["train"].data
    b'time,vehicles\\n2016-10-01 00:00:00,7\\n2016-10-01 01:00:00,7\\n'
    """
    with zipfile.ZipFile(io.BytesIO(files["all"])) as archive:
        text = archive.read(archive.namelist()[0]).decode("ascii")
    lines, count = [], ""
    for row in csv.DictReader(io.StringIO(text)):
        count = row["traffic_volume"] or count
        lines.append(f"{row['datetime']},{count}")
    train, test = ([line for line in lines if (line < TEST) == before] for before in (True, False))
    parts = {"train": train, "test": test, "all": lines}
    return {split: csv_from_lines("time,vehicles", part) for split, part in parts.items()}


SET = DataSet(
    title="Interstate traffic, vehicles an hour westbound on I-94 in Minnesota, two years",
    task="forecast",
    licence="UCI archive (Metro Interstate Traffic Volume), CC BY 4.0; AutoTS, which holds them, is MIT-licensed",
    source="the package autots 1.0.4; 104 hours without a count have that of the hour before",
    published=(
        "mean absolute error, horizon 24, every origin of the test, measured on these files: ridge regression 291.0, "
        "the value of a week before 304.1, the last value 2200.3",
    ),
    split="train: until February 2018; test: March to September; all: both, so that test steps have their past",
    rows={"train": 12384, "test": 5136, "all": 17520},
    labels=0,
    sources=(
        Wheel(
            "autots",
            "1.0.4",
            2,
            {
                "all": File(
                    "autots/datasets/data/traffic_hourly.zip",
                    158529,
                    "71416c6c5adf1e322c3a9483c70ea44dbbcac4ef3d47aa346d763b77478f35ad",
                )
            },
        ),
    ),
    sums={
        "train": "a758393d447efdbf89742be03d46e2a94904842a189f66eba8d653d2e03cffa0",
        "test": "06ea045c421516fa44eed7f93c352d80e1f91d1ed504f81db5aa6944bec0e78b",
        "all": "e08f30b6ea696c68df6d202700c8d361cf4784362b03b73b47440a1af64ffee1",
    },
    parse=parse,
    unit="steps",
    flags="--time time --values vehicles --horizon 24",
)
