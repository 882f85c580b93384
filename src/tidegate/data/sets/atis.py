"""ATIS: what a caller wants to know about flights."""

from tidegate.data.dataset import DataSet, File
from tidegate.data.folder import Folder
from tidegate.data.paired_files import parse
from tidegate.data.web import Web

FILES = {
    "train text": File("train/seq.in", 289848, "3a670980841b21ab39088b2595efc17d487cdc45769c075a3e5f9458bba28c7f"),
    "train label": File("train/label", 57831, "d0a771547665eecbdf9f96ea015ef07d1f6ee9f063e861020dafabb3c2a04377"),
    "val text": File("valid/seq.in", 32761, "c7435b96e7948393608c34819628e863c5338f11ca68e8f896d2cc041d8e17f8"),
    "val label": File("valid/label", 6518, "06957cfe6fdffac84f8280bc3a1f8ca85c85631b363817aa4543aac611f8addf"),
    "test text": File("test/seq.in", 52122, "4b2119fc59c37f9398c6605db435d4f467505009e6ee3e5af04fed09f39dc397"),
    "test label": File("test/label", 11634, "ce4bfe6590d9498e1078f30b4137d3e8b3e94277b444b26360c0bf2e9e282761"),
}

SET = DataSet(
    title="ATIS, intent of a question about air travel",
    task="classify",
    licence="derived from LDC93S5 and LDC94S19; used for research, not to be redistributed",
    source="github MiuLab/SlotGated-SLU at 61f0307c, data/atis",
    published=(
        "accuracy of the intent, Goo et al. 2018: Slot-Gated 94.1",
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
        "train": "b4c5ff10155ad9fef7f78660642aab8bb30ffbc012d79abb2c59d50dfbf9a5fb",
        "val": "fc767c951be0e078ee92bfd2da9505b40840094c28b46317962123ae3605f8f2",
        "test": "0132c1cda4e02ec96ef0bb02b1048030d6f39c41078014818b0bbcd96929e493",
    },
    parse=parse,
)
