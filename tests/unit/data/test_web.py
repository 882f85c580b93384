"""Data sets from web addresses, and the message when one fails."""

import hashlib
import io
import urllib.error
from dataclasses import replace

import pytest

from tidegate.data import catalogue, web
from tidegate.data.dataset import File
from tidegate.data.sets import reuters_r8
from tidegate.data.split_files import csv_from_pairs
from tidegate.data.table import read_table
from tidegate.data.web import Web
from tidegate.errors import DataError

TRAIN = b"Category\tText\nd\tstring\nclass\t\n\nearn\tprofit rises \nacq\tit buys \n"
TEST = b"Category\tText\nd\tstring\nclass\t\n\nearn\tloss \n"
FILES = {
    split: File(f"pack/{split}.tab", len(data), hashlib.sha256(data).hexdigest())
    for split, data in (("train", TRAIN), ("test", TEST))
}
MADE = {"train": [("profit rises", "earn"), ("it buys", "acq")], "test": [("loss", "earn")]}
TINY = replace(
    reuters_r8.SET,
    rows={"train": 2, "test": 1},
    sums={split: hashlib.sha256(csv_from_pairs(pairs).data).hexdigest() for split, pairs in MADE.items()},
    labels=2,
    sources=(Web("https://example.org/at/1/", FILES),),
)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """Give the test its own cache, and no folder of data sets."""
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TIDEGATE_DATA", raising=False)


def web_set(monkeypatch, answer):
    def urlopen(request, timeout):
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer[request.full_url])

    monkeypatch.setattr(web.urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(catalogue, "get", lambda name: TINY)


def test_a_web_address(monkeypatch):
    web_set(
        monkeypatch,
        {f"https://example.org/at/1/{f.path}": d for f, d in zip(FILES.values(), (TRAIN, TEST), strict=True)},
    )
    said = []
    assert len(read_table(catalogue.fetch("tiny", said.append)["train"])) == 2
    assert said[0] == "fetching https://example.org/at/1/pack/train.tab (0.0 MB)"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            urllib.error.URLError("no such host"),
            r"cannot be fetched \(no such host\); check the network, or set",
        ),
        (TimeoutError("timed out"), r"cannot be fetched \(timed out\)"),
        (
            urllib.error.HTTPError("x", 404, "Not Found", None, None),
            "answered 404 Not Found; or set TIDEGATE_DATA",
        ),
        ({"https://example.org/at/1/pack/train.tab": b"<html>"}, "has SHA-256"),
    ],
)
def test_a_web_address_that_fails(monkeypatch, answer, message):
    web_set(monkeypatch, answer)
    with pytest.raises(DataError, match=message):
        catalogue.fetch("tiny", lambda _: None)
