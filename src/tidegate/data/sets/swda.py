"""Switchboard Dialog Acts: what each utterance of a telephone conversation does, such as to ask or to agree."""

from collections import Counter
from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.folder import Folder
from tidegate.data.split_files import csv_from_rows

COLUMNS = ("text", "label", "conversation", "turn", "speaker")


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the utterances by split: lines `conversation|speaker|text|act`, in the order of the conversation.

    >>> parse({"test": b"2005|A|Okay.|fo\\n2005|B|Yes.|aa\\n"})["test"].data.decode().splitlines()
    ['text,label,conversation,turn,speaker', 'Okay.,fo,2005,1,A', 'Yes.,aa,2005,2,B']
    """
    return {split: _read(data.decode()) for split, data in files.items()}


def _read(lines: str) -> SplitFile:
    turns, rows = Counter[str](), []
    for conversation, speaker, text, act in (line.split("|") for line in lines.split("\n") if line):
        turns[conversation] += 1
        rows.append((text, act, conversation, str(turns[conversation]), speaker))
    return csv_from_rows(COLUMNS, rows, frozenset(row[1] for row in rows))


SET = DataSet(
    title="SwDA, dialogue act of an utterance on the telephone, 41 acts",
    task="classify",
    licence="acts CC BY-NC-SA 3.0, files of the repository GPL-3.0; research use of the text of Switchboard (LDC97S62)",
    source="github NathanDuran/Switchboard-Corpus at 2aec5da9, swda_data/{train,val,test}/*.txt, joined",
    published=(
        "accuracy on the same 19 conversations: trigrams of acts 71.0 (Stolcke et al. 2000), CNN 73.1 (Lee and "
        "Dernoncourt 2016), hierarchical BiLSTM-CRF 79.2 (Kumar et al. 2018), GRU with self-attention over the context "
        "82.9 (Raheja and Tetreault 2019); agreement of people 84",
        "accuracy, measured on these files, utterances alone: linear SVM on tf-idf of words and characters 72.56",
    ),
    split="official train, val and test conversations: 1,115, 21 and 19",
    rows={"train": 192390, "val": 3272, "test": 4078},
    labels=41,
    sources=(
        Folder(
            "swda",
            {
                "train": File("train.txt", 9144871, "2ee9586f22331199e85f39c81ab669692fd83c870b0891fe4dcf19e4ca66e01b"),
                "val": File("val.txt", 159380, "5af49afd3409a546dd9443834b0d4588bf8250b5efca19783255b7c6cea93f73"),
                "test": File("test.txt", 189254, "55191b6641d1bb8b73533e0077f39c30dbe34a1f0b03f697a2bb754b17751152"),
            },
        ),
    ),
    sums={
        "train": "cf3463ba752c07f01ac34bd4b316621372b257625de5b2c2d1f0a5cb9f679ba7",
        "val": "62e6dff2c9bd65e66d436aa28ef5fcae576395a762bac911d6ba10b7271829e9",
        "test": "014c59311ea93131b6f4560eade6960803cc0604d70632682b9d8af17f6898bb",
    },
    parse=parse,
    flags="--text text --label label --conversation conversation --turn turn --speaker speaker",
)
