"""MELD: the emotion in each line of scenes from the TV series Friends."""

import csv
import io
from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.split_files import csv_from_rows
from tidegate.data.web import Web

COLUMNS = ("text", "label", "conversation", "turn", "speaker")
SOURCE = ("Utterance", "Emotion", "Dialogue_ID", "Utterance_ID", "Speaker")
FILES = {
    "train": File("train_sent_emo.csv", 1119290, "d2fa2d6529cf03cac2989efec05c9b27d8fd2f4c8fc5974c7ae88aa537fa02db"),
    "val": File("dev_sent_emo.csv", 121640, "2e89c6f8aa182d6f62f8c6331aece905ac7273ca4999660bfb5213e1d0370c1c"),
    "test": File("test_sent_emo.csv", 294526, "8d37103938f7067600839fe29d5a114a6cd1bcdafb75bec101e06464c5006888"),
}


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the lines by split, with their emotion, dialogue, place in it and speaker.

    >>> data = b"Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\\nI see.,Ross,neutral,0,6\\n"
    >>> parse({"val": data})["val"].data.decode().splitlines()[1]
    'I see.,neutral,0,6,Ross'
    """
    return {split: _read(data.decode()) for split, data in files.items()}


def _read(text: str) -> SplitFile:
    rows = [tuple(row[name] for name in SOURCE) for row in csv.DictReader(io.StringIO(text, newline=""))]
    return csv_from_rows(COLUMNS, rows, frozenset(row[1] for row in rows))


SET = DataSet(
    title="MELD, emotion in a line of a scene, 7 emotions",
    task="classify",
    licence="GPL-3.0; text of the TV series Friends, research use",
    source="github declare-lab/MELD at 2d2011b4, data/MELD/*_sent_emo.csv",
    published=(
        "weighted F1 of the text: CNN 55.0, bc-LSTM 56.4, DialogueRNN 57.0, DialogueGCN 58.1, RoBERTa 62.0 (Poria et "
        "al. 2019; Ghosal et al. 2020)",
        "weighted F1, measured on these files, lines alone: linear SVM on tf-idf of words and characters 55.42",
    ),
    split="official train, dev (here val) and test: 1,038, 114 and 280 dialogues, numbered from 0 in each",
    rows={"train": 9989, "val": 1109, "test": 2610},
    labels=7,
    sources=(
        Folder("meld", FILES),
        Web(
            "https://raw.githubusercontent.com/declare-lab/MELD/2d2011b409d3ca2d7e94460cd007d434b1d0a102/data/MELD/",
            FILES,
        ),
    ),
    sums={
        "train": "16a1c727d788e86de610d2a98c567061a767f71b9277b46f03acd7288f5946ac",
        "val": "f4ad499c3f803dd8aa140f96a8674aa62dda39d2b0ad3c55c61dc0fc1826d8c3",
        "test": "c7cb74ab4d9053a40c2eef1632c61cd278b06f22838e440f4b18706654ccd808",
    },
    parse=parse,
    flags="--text text --label label --conversation conversation --turn turn --speaker speaker",
)
