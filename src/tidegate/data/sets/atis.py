"""ATIS: what a caller wants to know about flights, and which words name cities, times and the like."""

from tidegate.data.dataset import DataSet, File
from tidegate.data.folder import Folder
from tidegate.data.paired_files import parse
from tidegate.data.web import Web

FILES = {
    "train text": File("train/seq.in", 289848, "3a670980841b21ab39088b2595efc17d487cdc45769c075a3e5f9458bba28c7f"),
    "train tags": File("train/seq.out", 415557, "14c7131bd66562f797dbd7189bc7358f0cf354c6afb0785a9ab973c35b58f34c"),
    "train label": File("train/label", 57831, "d0a771547665eecbdf9f96ea015ef07d1f6ee9f063e861020dafabb3c2a04377"),
    "val text": File("valid/seq.in", 32761, "c7435b96e7948393608c34819628e863c5338f11ca68e8f896d2cc041d8e17f8"),
    "val tags": File("valid/seq.out", 47763, "83ccff3e36f83a993f8e5b5b82adf3256076f234abda4d784051381d7ac76922"),
    "val label": File("valid/label", 6518, "06957cfe6fdffac84f8280bc3a1f8ca85c85631b363817aa4543aac611f8addf"),
    "test text": File("test/seq.in", 52122, "4b2119fc59c37f9398c6605db435d4f467505009e6ee3e5af04fed09f39dc397"),
    "test tags": File("test/seq.out", 81238, "a4690d6bceadc06876d1ff99bc401744aa981cb321e598ae12a3859d7be53254"),
    "test label": File("test/label", 11634, "ce4bfe6590d9498e1078f30b4137d3e8b3e94277b444b26360c0bf2e9e282761"),
}

SET = DataSet(
    title="ATIS, intent of a question about air travel, 26 labels, and the slots that its words fill, 127 tags",
    task="classify",
    licence="derived from LDC93S5 and LDC94S19; used for research, not to be redistributed",
    source="github MiuLab/SlotGated-SLU at 61f0307c, data/atis",
    published=(
        "accuracy of the intent, Goo et al. 2018: Slot-Gated 94.1",
        "F1 of the slots, Goo et al. 2018: Slot-Gated 95.2",
        "accuracy, measured on these files: linear SVM on tf-idf of words and characters 95.30",
    ),
    split="train, valid (here val) and test of Goo et al. 2018; 5 of the 26 labels are not in train",
    rows={"train": 4478, "val": 500, "test": 893},
    labels=26,
    sources=(
        Folder("atis", FILES),
        Web(
            "https://raw.githubusercontent.com/MiuLab/SlotGated-SLU/61f0307c729b1fad479ef1de94aa5ac5dee601b0/data/atis/",
            FILES,
        ),
    ),
    sums={
        "train": "bc5bcbf2343c323098416a799ff305806dd71c1ff7669bdff4de41b09829aaef",
        "val": "144d1a653de3c9b2c799e66bbc66870aa0351e8d87be3105ca664b8a16de441d",
        "test": "d62c932c16a59edb47c08b4a439277f2cb4d03ae54dd11fcc25328952777c84a",
    },
    parse=parse,
)
