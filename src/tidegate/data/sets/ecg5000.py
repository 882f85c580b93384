"""ECG5000: heartbeats in five classes."""

from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.npz import read_npz
from tidegate.data.split_files import npz_from_series

NAMES = ("normal", "anomalous")


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the beats by split: in `test` those with a known class, in `normal` all, labelled normal or not.

    >>> import io
    >>> import numpy as np
    >>> file = io.BytesIO()
    >>> x, y = np.zeros((2, 140), np.float32), np.array([1, 0])
    >>> np.savez(file, x_train=x, y_train=y, x_test=x, y5_test=y, anomaly_test=y)
    >>> splits = parse({"all": file.getvalue()})
    >>> splits["test"].rows, sorted(splits["normal"].labels)
    (1, ['anomalous', 'normal'])
    """
    arrays = read_npz(files["all"], "ecg5000.npz")
    x, y = arrays["x_test"], arrays["y5_test"]
    return {
        "train": npz_from_series(arrays["x_train"], arrays["y_train"].tolist()),
        "test": npz_from_series(x[y > 0], y[y > 0].tolist()),
        "normal": npz_from_series(x, [NAMES[int(anomalous)] for anomalous in arrays["anomaly_test"]]),
    }


SET = DataSet(
    title="ECG5000, heartbeats of one patient in 5 classes, 140 steps",
    task="classify",
    licence="UCR archive; PhysioNet BIDMC chf07, ODC-By 1.0",
    source="github huntressofdiana/ecg5000-timeseries-project at eb458ab0, HFuoc/ECG5000-Anomaly at aa477379, "
    "CameronDetig/ECG5000-Ultra-Lightweight-Binary-Neural-Network at 1cbd6eb5",
    published=(
        "accuracy on the whole test: nearest neighbour 92.5, InceptionTime 94.16, HC2 94.69, GRU-FCN 94.6 to 94.7",
        "accuracy, measured on these files: nearest neighbour 90.87",
    ),
    split="official train; test: the 1,500 of the official 4,500 whose class is known, in another order; "
    "normal: all 4,500, labelled normal (class 1) or anomalous (2 to 5)",
    rows={"train": 500, "test": 1500, "normal": 4500},
    labels=7,
    sources=(
        Folder(
            "ecg5000",
            {"all": File("ecg5000.npz", 2598004, "f4f869e7035e6a999ba21d45fb062bdbabd1e7c32d951b1f74f58076674abdc2")},
        ),
    ),
    sums={
        "train": "6c941096e9ae2ba6c2534f49cbb44a087d5d29d600e0892170786a94c6bc8fa1",
        "test": "7b7abf99e240c4b6b74dfac1c4995bb508ba081631de849d5c774e05fd115e5e",
        "normal": "7209d1c44e648cab779b2fa6ee16a77cfb169147db91927e0cc8bdfffb1d59fb",
    },
    parse=parse,
    unit="series",
    suffix=".npz",
    flags="--label y --layout rows",
)
