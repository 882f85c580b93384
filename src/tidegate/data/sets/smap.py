"""SMAP: telemetry of a satellite, and what its engineers found wrong."""

import ast
import csv
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.npz import read_npz
from tidegate.data.split_files import npz_from_steps

SPACECRAFT = "SMAP"
VALUES = ("value", *(f"command{k}" for k in range(1, 25)))


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the channels by split, with the columns of `VALUES` and anomaly (0 or 1; both ends of a sequence count).

    >>> import io
    >>> file, x = io.BytesIO(), np.zeros((2, 25), np.float32)
    >>> np.savez(file, **{"train_P-1": x, "test_P-1": x})
    >>> labels = b'chan_id,spacecraft,anomaly_sequences,class,num_values\\nP-1,SMAP,"[[1, 1]]",[point],2\\n'
    >>> made = parse({"all": file.getvalue(), "labels": labels})["test"]
    >>> read_npz(made.data, "test.npz")["x"][:, -1].tolist()
    [0.0, 1.0]
    """
    arrays = read_npz(files["all"], "smap.npz")
    sequences: dict[str, list[list[int]]] = {}
    for row in csv.DictReader(files["labels"].decode("ascii").splitlines()):
        if row["spacecraft"] == SPACECRAFT:
            sequences.setdefault(row["chan_id"], []).extend(ast.literal_eval(row["anomaly_sequences"]))
    columns = (*VALUES, "anomaly")
    return {
        "train": npz_from_steps({name: _label(arrays[f"train_{name}"], []) for name in sequences}, columns),
        "test": npz_from_steps(
            {name: _label(arrays[f"test_{name}"], ends) for name, ends in sequences.items()}, columns
        ),
    }


def _label(x: npt.NDArray[np.float32], sequences: list[list[int]]) -> npt.NDArray[np.float32]:
    anomaly = np.zeros((len(x), 1), np.float32)
    for first, last in sequences:
        anomaly[first : last + 1] = 1
    return np.hstack([x, anomaly])


SET = DataSet(
    title="SMAP, telemetry of a satellite: 54 channels, each a value and 24 commands, and the anomalies in reports",
    task="detect",
    licence="Caltech, BSD-style, 3 clauses; cite Hundman et al. 2018",
    source="github imperial-qore/TranAD at 7ffb98d0, which holds the data of khundman/telemanom, in float32",
    published=(
        "point-adjusted F1, which random alarms on 0.5 % of the steps bring to 96.3: OmniAnomaly 87.3, TranAD 89.2, "
        "USAD 84.2, LSTM-NDT 78.8 (TranAD); of sequences, precision and recall: LSTM 85.5, 85.5 (README of telemanom)",
        "F1 of points and AUROC in percent, fitted to train channel by channel, at a threshold that one normal step in "
        "1,000 exceeds, measured on these files: T2 of levels 23.6, 69.9; autoregression of 10 steps 9.1, 66.8",
    ),
    split="official: test follows train in each channel; train has no labels and is taken as normal",
    rows={"train": 138004, "test": 435826},
    labels=0,
    sources=(
        Folder(
            "smap",
            {
                "all": File("smap.npz", 918480, "fe06024ce0affc2be812811ff1662c76c2743655f10c52053eb8ba59b6264775"),
                "labels": File(
                    "labeled_anomalies.csv", 2649, "c65eef62033c4d965ba76c745fe60c528f074cc22f4eb08e96512f596d6065f0"
                ),
            },
        ),
    ),
    sums={
        "train": "d401b523cc40c3251812c8098c1b1877e5d95c52a40d8cc98d8751fa3141938b",
        "test": "bf0c7bb49f602ab6e17eb18c7a90663cef304a2c575c8b26145bfd10be575b66",
    },
    parse=parse,
    unit="steps",
    suffix=".npz",
    flags=f"--values {','.join(VALUES)}",
)
