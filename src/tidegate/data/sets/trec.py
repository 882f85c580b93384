"""TREC: what a question asks for, six types."""

from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, Pairs
from tidegate.data.folder import Folder
from tidegate.data.web import Web

FILES = {
    "train": File("TREC.train.all", 292402, "c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e"),
    "test": File("TREC.test.all", 19479, "92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566"),
}
LABELS = ("description", "entity", "abbreviation", "human", "location", "number")


def parse(files: Mapping[str, bytes]) -> dict[str, Pairs]:
    """Return the questions by split: lines `digit text` in Latin-1.

    >>> parse({"test": b"5 How far is it from Denver to Aspen ?\\n"})
    {'test': [('How far is it from Denver to Aspen ?', 'number')]}
    """
    return {
        split: [(line[2:].strip(), LABELS[int(line[0])]) for line in data.decode("latin-1").split("\n") if line]
        for split, data in files.items()
    }


SET = DataSet(
    title="TREC question classification, 6 types",
    task="classify",
    licence="free for research (Li and Roth 2002)",
    source="github harvardnlp/sent-conv-torch at d61ded09, data/TREC.*",
    published=("accuracy, measured on these files: linear SVM on tf-idf of words and characters 90.60",),
    split="official train and test; no validation set",
    rows={"train": 5452, "test": 500},
    labels=6,
    sources=(
        Folder("trec", FILES),
        Web(
            "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data/",
            FILES,
        ),
    ),
    sums={
        "train": "fc0875f092c48e8e11b765cb6a12c4bdab53a067c286b1f0c82943c95e1218c1",
        "test": "0e728e768c4a0eb86760accdeb6433ce4a475db2eeb4f5f483e86ea04ba6f126",
    },
    parse=parse,
)
