"""SST with its trees: the sentences of SST-2, and for training also the phrases that they consist of."""

import re
from collections.abc import Iterator, Mapping

from tidegate.data.dataset import DataSet, File, Pairs
from tidegate.data.folder import Folder
from tidegate.data.web import Web

FILES = {
    "train": File("train.txt", 2440883, "3287e6df56acb2ccba2bc3ebb7a696c0daee8d2fa00988348bbf37796bc3739d"),
    "val": File("dev.txt", 280825, "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40"),
    "test": File("test.txt", 559614, "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761"),
}
SENTENCES = 8544  # of training; behind them, the file of training repeats those of val
LABELS = (
    "negative",
    "negative",
    "",
    "positive",
    "positive",
)  # of the five classes of a phrase; neutral ones are left out
PARTS = re.compile(r"\((\d)|\)|([^\s()]+)")


def parse(files: Mapping[str, bytes]) -> dict[str, Pairs]:
    """Return the phrases of training sentences, each once, and whole sentences of the other splits; no neutral ones.

    Words are as they stand in the trees, with -LRB- for a parenthesis.

    >>> found = parse({"train": b"(3 (2 a) (4 (2 truly) (4 fine)))\\n", "val": b"(1 (2 so) (2 so))\\n"})
    >>> found["train"], found["val"]
    ([('fine', 'positive'), ('truly fine', 'positive'), ('a truly fine', 'positive')], [('so so', 'negative')])
    """
    found: dict[str, Pairs] = {}
    for split, data in files.items():
        trees = [list(read_phrases(line)) for line in data.decode().split("\n") if line]
        kept = [one for tree in trees[:SENTENCES] for one in tree] if split == "train" else [tree[-1] for tree in trees]
        found[split] = list({text: (text, LABELS[grade]) for text, grade in kept if LABELS[grade]}.values())
    return found


def read_phrases(tree: str) -> Iterator[tuple[str, int]]:
    """Yield the text and the class, 0 to 4, of each phrase of a tree; the whole sentence comes last.

    >>> list(read_phrases("(3 (2 a) (4 gem))"))
    [('a', 2), ('gem', 4), ('a gem', 3)]
    """
    words: list[str] = []
    open_phrases: list[tuple[int, int]] = []
    for part in PARTS.finditer(tree):
        grade, word = part.groups()
        if grade is not None:
            open_phrases.append((int(grade), len(words)))
        elif word is not None:
            words.append(word)
        else:
            own, first = open_phrases.pop()
            yield " ".join(words[first:]), own


SET = DataSet(
    title="SST-2 with its trees: training has the phrases of its sentences too, 2 classes",
    task="classify",
    licence="research data (Socher et al. 2013); the repository of the trees: MIT",
    source="github munikarmanish/RNTN at 12bb731b, trees/*.txt",
    published=(
        "accuracy, trained on phrases: CNN-static 86.8, CNN-non-static 87.2 (Kim 2014); LSTM 84.9, bidirectional LSTM "
        "87.5, Tree-LSTM 88.0, on GloVe of 300 numbers (Tai et al. 2015)",
    ),
    split="official train, dev (here val) and test, without neutral phrases; val and test are those of sst2, but in "
    "another order and with capitals",
    rows={"train": 77616, "val": 872, "test": 1821},
    labels=2,
    sources=(
        Folder("sst_trees", FILES),
        Web(
            "https://raw.githubusercontent.com/munikarmanish/RNTN/12bb731ba9fbdcdf2368b8515a241773f2b97547/trees/",
            FILES,
        ),
    ),
    sums={
        "train": "4a885c504ecf8d3036e2bcbb9e0c02fc098e70bd6683890ee17bd7200ecff1ca",
        "val": "673c3177d749a3fd325c4a8ee294c764e9fb5e27a8e1fa50bf0cc04a71f5642b",
        "test": "e046dd1a241f6c0c95d1195725ae181b3a9ec01ad5ab8af9548f1dbaf2efe6b3",
    },
    parse=parse,
)
