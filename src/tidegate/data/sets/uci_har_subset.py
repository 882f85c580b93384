"""A part of UCI HAR: the activity of a person with a smartphone at the waist."""

from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.npz import read_npz
from tidegate.data.split_files import npz_from_series

COLUMNS = tuple(f"{kind}_{axis}" for kind in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the windows by split.

    >>> import io
    >>> import numpy as np
    >>> file = io.BytesIO()
    >>> x, y = np.zeros((1, 128, 9), np.float16), np.array([5])
    >>> np.savez(file, x_train=x, y_train=y, x_test=x, y_test=y)
    >>> parse({"all": file.getvalue()})["test"].labels
    frozenset({'5'})
    """
    arrays = read_npz(files["all"], "uci_har_subset.npz")
    return {s: npz_from_series(arrays[f"x_{s}"], arrays[f"y_{s}"].tolist(), columns=COLUMNS) for s in ("train", "test")}


SET = DataSet(
    title="UCI HAR, a part of it: 6 activities, windows of 128 steps from 9 sensor channels of a smartphone",
    task="classify",
    licence="CC BY 4.0; cite Anguita et al. 2013",
    source="github mokch/0814_edu at d734da85, which holds 2,400 of 7,352 and 950 of 2,947 windows, in 4 digits",
    published=(
        "accuracy on the whole set, so not comparable: SVM 96.0 (Anguita et al. 2013), LSTM 91",
        "accuracy, measured on these files: nearest neighbour 64.53",
    ),
    split="train and test as that repository gives them, not shuffled: windows of one activity follow one another",
    rows={"train": 2400, "test": 950},
    labels=6,
    sources=(
        Folder(
            "uci_har_subset",
            {
                "all": File(
                    "uci_har_subset.npz", 6115282, "6dc509675acf460cbf09d682327fe69b1ec86dc2836ee94f36a235b8fddf934b"
                )
            },
        ),
    ),
    sums={
        "train": "c18a0160361e0525df0b5a83a9548bb356b157d0c0c5ae98bc3b06db6e66ce69",
        "test": "714257315922f076d815cab4df3ec27a6363f4fc2a94f1c2e2ff4d26e1f5a823",
    },
    parse=parse,
    unit="series",
    suffix=".npz",
    flags="--label y",
)
