"""MIT-BIH: the heartbeats of 44 records in the five classes of the AAMI, patients of train and test apart."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.npz import read_npz
from tidegate.data.split_files import npz_from_series

CLASSES = ("N", "S", "V", "F", "Q")  # normal, supraventricular, ventricular, fusion, unknown
CHANNELS = ("mlii", "before", "after")
PARTS = {"train": "ds1", "test": "ds2"}


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the beats by split: the lead MLII, and the time to the beat before and after at each of its steps.

    Times are in 1/360 s, as in the source: 0 where a record begins or ends there, 32767 where it is longer.

    >>> import io
    >>> file = io.BytesIO()
    >>> x, y, rr = np.zeros((1, 100), np.int16), np.array([2]), np.array([[300, 290]])
    >>> arrays = {"x": x, "y": y, "rec": y, "rr": rr}
    >>> np.savez(file, **{f"{name}_{part}": a for part in ("ds1", "ds2") for name, a in arrays.items()})
    >>> made = parse({"all": file.getvalue()})["test"]
    >>> made.labels, read_npz(made.data, "test.npz")["x"][0, 99].tolist()
    (frozenset({'V'}), [0, 300, 290])
    """
    arrays = read_npz(files["all"], "mitbih_beats.npz")
    return {
        split: _split(*(arrays[f"{name}_{part}"] for name in ("x", "y", "rec", "rr"))) for split, part in PARTS.items()
    }


def _split(
    x: npt.NDArray[np.int16], y: npt.NDArray[np.int8], record: npt.NDArray[np.int16], rr: npt.NDArray[np.int16]
) -> SplitFile:
    intervals = np.broadcast_to(rr[:, None, :], (*x.shape, 2))
    channels = np.concatenate([x[:, :, None], intervals], axis=2).astype(np.int16)
    return npz_from_series(channels, [CLASSES[k] for k in y], patient=record, columns=CHANNELS)


SET = DataSet(
    title="MIT-BIH, 100,705 heartbeats in 5 classes, 100 steps at 180 Hz, patients of train and test apart",
    task="classify",
    licence="Open Data Commons Attribution 1.0; cite Moody and Mark 2001",
    source="github lxysl/mit-bih_ecg_recognition at 6a1964c0, which holds mitdb 1.0.0 of PhysioNet; one beat is 0.25 s "
    "before its R peak until 0.31 s after it, of the lead MLII, 200 units a millivolt",
    published=(
        "accuracy, jk index, same split (README of mondejar/ecg-classification): SVM ensemble 94.5, 0.773; Zhang 88.3, "
        "0.663; Mar 89.9, 0.649; de Chazal 86.2, 0.612; papers that divide beats at random, not patients, reach 99",
        "accuracy, measured on these files: every beat normal 89.03",
    ),
    split="of de Chazal 2004: train is DS1, test is DS2, 22 records each, without the 4 of paced hearts; the person of "
    "record 201 (train) is also that of 202 (test)",
    rows={"train": 51008, "test": 49697},
    labels=5,
    sources=(
        Folder(
            "mitbih_beats",
            {
                "all": File(
                    "mitbih_beats.npz", 10665013, "2679dc8c0dcd2c3a4055fbe27cda6b469a7fae7e1cb39b72e701e57390b8ad41"
                )
            },
        ),
    ),
    sums={
        "train": "6273c40f289ec804699da21368305546150b6f3806bbe92d2b213e6b71350767",
        "test": "0b1608bb4ed2132a460cc5a141ed1d2dcd308bd139209109678c695a22660bf5",
    },
    parse=parse,
    unit="series",
    suffix=".npz",
    flags="--label y --group patient",
)
