"""SNIPS: what a user asks of a voice assistant, seven intents, and which words fill which slot."""

from tidegate.data.dataset import DataSet, File
from tidegate.data.folder import Folder
from tidegate.data.paired_files import parse
from tidegate.data.web import Web

FILES = {
    "train text": File("train/seq.in", 617079, "04ad1e3f2121d83c6478f9a4b17d2dbdc21d06d6127f73cb7af835ed733f9855"),
    "train tags": File("train/seq.out", 950926, "fd5f2121d8055827e5d6b3d3bac30f3d7e94e82a5d437751960cbdd9e1b4f6d3"),
    "train label": File("train/label", 184532, "bfd7df6cf9dd76c5da5d8b61bc85f90386197bdd3d7510c1d324c051537b962f"),
    "val text": File("valid/seq.in", 33629, "64e0f6d8ad8aab3a3828164d7d53731a0993d3ca1aed437ceaca6d3d568d410e"),
    "val tags": File("valid/seq.out", 50626, "712e6d34feb8d52d208b820a5f8bae6e6ff990f08374507dfde22de389088319"),
    "val label": File("valid/label", 9900, "9c1dd041216f647bcfca838aaf1a48eb5781e4404256d31ff07cd38a5436c52f"),
    "test text": File("test/seq.in", 33121, "c1e341173fcea2951a8ca371956a6f81c76de87b9583c62eb87edd6158fa3a7c"),
    "test tags": File("test/seq.out", 50918, "58c07c9097d5e1f78889765c2a535a160f6455b90b3142055c8051847afcca47"),
    "test label": File("test/label", 10120, "37a26da3ad079bb41c42c85a3a8f827eb47efec4c5917ce5d08f4b2736e4f830"),
}

SET = DataSet(
    title="SNIPS, intent of a request to a voice assistant, 7 intents, and the slots that its words fill, 72 tags",
    task="classify",
    licence="CC0 1.0 (the originals of sonos/nlu-benchmark)",
    source="github MiuLab/SlotGated-SLU at 61f0307c, data/snips",
    published=(
        "accuracy of the intent, Goo et al. 2018: attention BiRNN 96.7, Slot-Gated 97.0",
        "F1 of the slots, Goo et al. 2018: attention BiRNN 87.8, Slot-Gated 88.8",
        "accuracy, measured on these files: linear SVM on tf-idf of words and characters 97.86",
    ),
    split="train, valid (here val) and test of Goo et al. 2018",
    rows={"train": 13084, "val": 700, "test": 700},
    labels=7,
    sources=(
        Folder("snips", FILES),
        Web(
            "https://raw.githubusercontent.com/MiuLab/SlotGated-SLU/61f0307c729b1fad479ef1de94aa5ac5dee601b0/data/snips/",
            FILES,
        ),
    ),
    sums={
        "train": "9089e401cf7685d16cbfbe65d1ad2d71ea3ca6befc9fc3a2cb44498be3aae2f0",
        "val": "c3f4a98124d470a4fe5268719380e5e50a4cf4de9c4b8a0661d20112126cca73",
        "test": "3c90b83d6705ca03e7ab9c0cc08bbf52968a62685a33d3b3a668346cf3f554cd",
    },
    parse=parse,
)
