"""Messages to a bank, made from templates: small, multilingual and learnable in a few seconds."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

SENTENCES = {
    "balance": [
        "what's my balance",
        "how much money is in my {account}",
        "show the balance of my {account}, {please}",
    ],
    "transfer": ["send {amount} to {name}", "{please} transfer {amount} from my {account} to {name}"],
    "card_lost": [
        "my card is gone",
        "I lost my card in {place}, {please} block it",
        "someone stole my card in {place}!",
    ],
    "hours": ["when do you open in {place}", "opening hours {place}?", "are you open on Sunday in {place}"],
}
WORDS = {
    "account": ["savings", "current account", "Girokonto", "joint account"],
    "amount": ["20 euros", "£15", "100 dollars", "7.50"],
    "name": ["Zoë", "my landlord", "Peter", "山田さん"],
    "place": ["Köln", "Paris", "the station", "São Paulo"],
    "please": ["please", "pls", "now", "if you can"],
}
SMALL = (
    "--text",
    "message",
    "--label",
    "intent",
    "--hidden",
    "24",
    "--embed",
    "16",
    "--epochs",
    "6",
    "--batch",
    "16",
)


def messages(count: int, seed: int) -> list[tuple[str, str]]:
    """(text, label) rows, the labels in turn."""
    rng = random.Random(seed)
    labels = sorted(SENTENCES)
    rows = []
    for i in range(count):
        label = labels[i % len(labels)]
        words = {name: rng.choice(some) for name, some in WORDS.items()}
        rows.append((rng.choice(SENTENCES[label]).format(**words), label))
    return rows


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    """Rows as the file's extension says, in columns message and intent."""
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(
                json.dumps({"message": text, "intent": label}, ensure_ascii=False) + "\n" for text, label in rows
            )
        elif path.suffix == ".tsv":
            file.writelines(f"{text}\t{label}\n" for text, label in [("message", "intent"), *rows])
        else:
            csv.writer(file).writerows([("message", "intent"), *rows])
    return path
