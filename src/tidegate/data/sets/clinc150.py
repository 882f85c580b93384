"""CLINC150: what a user wants, 150 intents in 10 domains."""

import json
from collections.abc import Mapping

from tidegate.data.dataset import DataSet, File, Pairs
from tidegate.data.folder import Folder
from tidegate.data.web import Web

FILES = {
    "full": File("data_full.json", 2495390, "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0"),
}


def parse(files: Mapping[str, bytes]) -> dict[str, Pairs]:
    """Return the queries in scope by split, without those out of scope (oos_train, oos_val, oos_test).

    >>> parse({"full": b'{"train": [["hi", "greeting"]], "val": [], "test": [], "oos_test": [["?", "oos"]]}'})
    {'train': [('hi', 'greeting')], 'val': [], 'test': []}
    """
    document = json.loads(files["full"])
    return {split: [(text, label) for text, label in document[split]] for split in ("train", "val", "test")}


SET = DataSet(
    title="CLINC150, intent of a query, 150 intents in scope",
    task="classify",
    licence="CC BY 3.0; cite Larson et al. 2019",
    source="github clinc/oos-eval at 828f8093, data/data_full.json",
    published=(
        "accuracy in scope, Larson et al. 2019, table 2 (trained with out-of-scope queries too): "
        "fastText 89.0, SVM 91.0, CNN 91.2, DialogFlow 91.7, Rasa 91.5, MLP on USE 93.5, BERT 96.9",
        "accuracy, measured on these files, 150 classes: linear SVM on tf-idf of words and characters 92.73",
    ),
    split="official train, val and test, in scope only: 100, 20 and 30 queries an intent",
    rows={"train": 15000, "val": 3000, "test": 4500},
    labels=150,
    sources=(
        Folder("clinc150", FILES),
        Web(
            "https://raw.githubusercontent.com/clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de/data/",
            FILES,
        ),
    ),
    sums={
        "train": "8de4c000e4024b9778bb1238e5cfa47bb916f948b93c31226aaac74d611796d0",
        "val": "07255be49fafe97979804ce7a339acecbe18c7bb1681d29b12db2caff6412e88",
        "test": "9998ce647eb338c578c90ca21d803e55221b2877deedfd3f67a9988fb858af40",
    },
    parse=parse,
)
