"""SNIPS: what a user asks of a voice assistant, seven intents."""

from tidegate.data.dataset import DataSet, File
from tidegate.data.folder import Folder
from tidegate.data.paired_files import parse
from tidegate.data.web import Web

FILES = {
    "train text": File("train/seq.in", 617079, "04ad1e3f2121d83c6478f9a4b17d2dbdc21d06d6127f73cb7af835ed733f9855"),
    "train label": File("train/label", 184532, "bfd7df6cf9dd76c5da5d8b61bc85f90386197bdd3d7510c1d324c051537b962f"),
    "val text": File("valid/seq.in", 33629, "64e0f6d8ad8aab3a3828164d7d53731a0993d3ca1aed437ceaca6d3d568d410e"),
    "val label": File("valid/label", 9900, "9c1dd041216f647bcfca838aaf1a48eb5781e4404256d31ff07cd38a5436c52f"),
    "test text": File("test/seq.in", 33121, "c1e341173fcea2951a8ca371956a6f81c76de87b9583c62eb87edd6158fa3a7c"),
    "test label": File("test/label", 10120, "37a26da3ad079bb41c42c85a3a8f827eb47efec4c5917ce5d08f4b2736e4f830"),
}

SET = DataSet(
    title="SNIPS, intent of a request to a voice assistant, 7 intents",
    task="classify",
    licence="CC0 1.0 (the originals of sonos/nlu-benchmark)",
    source="github MiuLab/SlotGated-SLU at 61f0307c, data/snips",
    published=(
        "accuracy of the intent, Goo et al. 2018: attention BiRNN 96.7, Slot-Gated 97.0",
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
        "train": "229fc0e281cdbed82a3335401e04840ad6e5e2248ee7ae1aa9319319395f0729",
        "val": "6d53fa726c2ca13b3497c450a47a73731929c34ec4fbafbbb2311ac3ebed5fcd",
        "test": "a910a931dc7babc854807995a2ac8a0ffe47f3e64efce153069849c5094191e4",
    },
    parse=parse,
)
