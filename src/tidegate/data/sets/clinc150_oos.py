"""CLINC150 with its queries out of scope: 150 intents, and what a user wants that is none of them."""

import json
from collections.abc import Mapping
from dataclasses import replace

from tidegate.data.dataset import Pairs
from tidegate.data.sets import clinc150


def parse(files: Mapping[str, bytes]) -> dict[str, Pairs]:
    """Return the queries by split, first those in scope; those out of scope have the label oos.

    >>> parse({"full": b'{"train": [["hi", "greeting"]], "oos_train": [["?", "oos"]]}'})
    {'train': [('hi', 'greeting'), ('?', 'oos')]}
    """
    document = json.loads(files["full"])
    splits = [split for split in clinc150.SET.rows if split in document]
    return {split: [(text, label) for text, label in document[split] + document[f"oos_{split}"]] for split in splits}


SET = replace(
    clinc150.SET,
    title="CLINC150 with queries out of scope, 150 intents and oos",
    published=clinc150.SET.published[:1],
    split="official train, val and test: 100, 20 and 30 queries an intent, and 100, 100 and 1,000 out of scope",
    rows={"train": 15100, "val": 3100, "test": 5500},
    labels=151,
    sums={
        "train": "e6882599e1f258267bf2059686c28af253800ddf6d1a19c2ae9930947a3a9d6d",
        "val": "6a199f87aa340566e5d940d37f2010db38b5e3b439f934eee3f9bcf42f5a2f29",
        "test": "9596c6a420a4cc887dbb55c45483bc4528d301e41836cb51c98e1771b82b3095",
    },
    parse=parse,
    flags="--text text --label label --out-of-scope oos",
)
