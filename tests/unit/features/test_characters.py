"""The character table against Python's own, where the versions agree."""

import importlib.util
import sys
import unicodedata
from pathlib import Path

import pytest

from tidegate.features import characters
from tidegate.features.characters import UNICODE, VERSIONS, Classes, load

MATCHING = f"unicode-{unicodedata.unidata_version}" == UNICODE
TOOL = Path(__file__).parents[3] / "tools" / "unicode_table.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("unicode_table", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("version", VERSIONS)
def test_every_character_has_a_class(version):
    classes, _ = load(version)
    assert {classes[code] for code in range(0, sys.maxunicode + 1, 7)} == set("wdios")


@pytest.mark.skipif(not MATCHING, reason="this Python has another Unicode version")
def test_the_table_is_pythons(tool):
    classes, folds = load(UNICODE)
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        assert folds[code] == character.casefold()
        assert classes[code] == tool.character_class(character)


@pytest.mark.skipif(not MATCHING, reason="this Python has another Unicode version")
def test_the_file_is_what_the_tool_writes(tool):
    path = Path(characters.__file__).with_name(f"{UNICODE}.txt")
    assert path.read_text("ascii") == tool.table()


@pytest.mark.skipif(MATCHING, reason="for a Python of another Unicode version")
def test_a_character_of_a_newer_unicode_stays_unassigned():
    classes, folds = load(UNICODE)
    assert classes[0x1C89] == "o"
    assert folds[0x1C89] == chr(0x1C89)


def test_classes_mean_what_they_say():
    classes, _ = load(UNICODE)
    for letter, members in {
        "w": "aZ_éßΣ한ส\u0301\ufe0f½²ⅷ",
        "d": "09٣१𝟗",
        "i": "世々〇ひカーｶ𠮷〡",
        "o": "-'.$€😀\ue000\u0378",
        "s": " \t\n\x00\x7f\u00a0\u2028\u3000\u200b\u200d\u00ad\ufeff",
    }.items():
        assert {classes[ord(member)] for member in members} == {letter}


def test_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr(characters, "_CACHED", 100)
    classes = Classes([0, 65], "ow")
    assert {classes[code] for code in range(65, 5000)} == {"w"}
    assert len(classes) == 100
