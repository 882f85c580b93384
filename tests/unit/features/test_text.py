"""The tokenizer's kinds, options, errors and chunks."""

import pickle
import subprocess
import sys

import pytest

from tidegate.errors import DataError, OptionError, StateError
from tidegate.features.text import KINDS, Tokenizer, encode

NASTY = {
    "emoji joined": "hi 👩\u200d👩\u200d👧\u200d👦🏽 ❤\ufe0f ok",
    "combining marks": "e\u0301le\u0300ve \u0301 a\u0323\u0302b",
    "turkish dots": "İstanbul ISPARTA ılık I\u0307",
    "sharp s": "Straße STRASSE ẞ ſt ﬃ",
    "final sigma": "ΟΔΥΣΣΕΥΣ, Ὀδυσσεύς ΐ",
    "han and kana": "今日はtidegate2.0、カタカナー々〇ﾞ𠮷",
    "arabic": "مرحبا بالعالم می\u200cخواهم ٣٫٥",
    "hangul and indic": "안녕하세요 नमस्ते १२",
    "ascii over 64": "a" * 63 + " " + "b" * 64 + " " + "c" * 65 + "-" + "d" * 130,
    "two bytes over 64": "é" * 32 + " " + "é" * 33 + " a" + "é" * 32,
    "three bytes over 64": "क" * 21 + "!" + "क" * 22 + " ab" + "क" * 43,
    "four bytes over 64": "𝔸" * 16 + " " + "𝔸" * 17 + " abc" + "𝔸" * 31,
    "all widths at 64": "a" * 63 + "é" + "a" * 61 + "क" + "a" * 60 + "𝔸" + "a" * 61 + "👩" + "a" * 62 + "世",
    "mixed": "\ufeffNaïve—café\u00a0№5½ x_y\x00z\u2028end\u00ad\U0010ffff",
    "empty": "",
}


def strings(tokenizer, text):
    return [token.decode() for token in tokenizer.tokens(text.encode())]


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
@pytest.mark.parametrize("kind", KINDS)
def test_every_split_offset_gives_the_tokens_of_the_whole(kind, text):
    tokenizer, data = Tokenizer(kind), text.encode()
    whole = tokenizer.tokens(data)
    for cut in range(len(data) + 1):
        first, pending = tokenizer.feed(data[:cut])
        then, last = tokenizer.feed(data[cut:], pending)
        assert first + then + tokenizer.flush(last) == whole


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("What's  my_balance-3.5?", ["what", "'", "s", "my_balance", "-", "3", ".", "5", "?"]),
        ("Straße ΣΟΦΌΣ İ", ["strasse", "σοφόσ", "i\u0307"]),
        ("今日はok!", ["今", "日", "は", "ok", "!"]),
        ("안녕 세상", ["안녕", "세상"]),
        ("👩\u200d👧 a\u00adb", ["👩", "👧", "a", "b"]),
        ("e\u0301 1²½", ["e\u0301", "1²½"]),
        ("a\x00b\u3000c\ufeff", ["a", "b", "c"]),
        ("x" * 65, ["x" * 64, "x"]),
        ("a" + "é" * 32, ["a" + "é" * 31, "é"]),
    ],
)
def test_words(text, tokens):
    assert strings(Tokenizer("word"), text) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("What's  my_balance-3.5?\n", ["what's", "my_balance-3.5?"]),
        ("Straße\u3000ΣΟΦΌΣ\u00a0今日は", ["strasse", "σοφόσ", "今日は"]),
        ("👩\u200d👧 a\u00adb \x00c\ufeff", ["👩\u200d👧", "a\u00adb", "\x00c\ufeff"]),
        ("x" * 65, ["x" * 64, "x"]),
        (" \x1f\u2028", []),
    ],
)
def test_what_stands_between_white_space(text, tokens):
    assert strings(Tokenizer("space"), text) == tokens


def test_white_space_is_what_str_split_takes_for_it():
    white = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000 and chr(code).isspace()]
    assert strings(Tokenizer("space"), "x".join(white)) == ["x"] * (len(white) - 1)
    others = "".join(chr(code) for code in range(0x3100) if not chr(code).isspace())
    assert "".join(strings(Tokenizer("space", fold=False), others)) == others


def test_characters_keep_white_space():
    assert strings(Tokenizer("char"), "A  ß\n") == ["a", " ", " ", "ss", "\n"]
    assert strings(Tokenizer("char"), "A \t") == ["a", " ", "\t"]


def test_without_folding_case_stays():
    assert strings(Tokenizer("word", fold=False), "Ab ΣΑΣ ß") == ["Ab", "ΣΑΣ", "ß"]


def test_digit_shapes_in_every_script():
    assert strings(Tokenizer("word", digits="shape"), "mp3 2024") == ["mp0", "0000"]
    assert strings(Tokenizer("word", digits="shape"), "é 2024 ٣१²") == ["é", "0000", "00²"]


def test_a_word_is_given_when_its_boundary_arrives():
    tokenizer = Tokenizer("word")
    assert tokenizer.feed(b"hello") == ([], b"hello")
    assert tokenizer.feed(b" ", b"hello") == ([b"hello"], b"")
    assert tokenizer.feed(b"", b"hello") == ([], b"hello")
    assert tokenizer.feed(b"x" * 64) == ([b"x" * 64], b"")
    assert tokenizer.feed(b"x" * 63) == ([], b"x" * 63)
    assert tokenizer.feed(b"x" * 63 + b"\xc3") == ([b"x" * 63], b"\xc3")
    assert tokenizer.feed(b"x" * 62 + b"\xc3") == ([], b"x" * 62 + b"\xc3")


def test_pending_keeps_the_bytes_as_they_came():
    assert Tokenizer("word").feed("ÀB".encode())[1] == "ÀB".encode()


@pytest.mark.parametrize(
    ("data", "pending", "message"),
    [
        (b"ab\xffcd", b"", "the text is not UTF-8: byte 2 (0xff): invalid start byte"),
        (b"ab\xffcd", b"xyz", "byte 2 (0xff)"),
        (b"\xed\xa0\x80", b"", "byte 0 (0xed)"),
        (b"\xc0\xaf", b"", "byte 0 (0xc0)"),
        (b"ok \xf4\x90", b"", "byte 3 (0xf4)"),
        (b"a", b"x\xe4\xb8", "a character that began in the previous chunk (0xe4)"),
    ],
)
@pytest.mark.parametrize("kind", ["word", "char"])
def test_what_is_not_utf8_is_an_error_with_its_offset(kind, data, pending, message):
    with pytest.raises(DataError) as caught:
        Tokenizer(kind).feed(data, pending)
    assert message in str(caught.value)


def test_a_text_that_ends_inside_a_character():
    with pytest.raises(DataError, match="ends inside a character, after 0xe4b8"):
        Tokenizer("word").flush(b"x\xe4\xb8")


def test_bytes_take_anything():
    assert Tokenizer("byte").tokens(b"\xff\x00") == [b"\xff", b"\x00"]


def test_pending_of_another_size_is_refused():
    with pytest.raises(StateError, match="has 64 bytes; expected less than 64"):
        Tokenizer("word").feed(b"", b"x" * 64)


def test_text_must_be_encoded_first():
    with pytest.raises(DataError, match="takes bytes, not str"):
        Tokenizer().feed("text")
    assert encode("né") == b"n\xc3\xa9"
    with pytest.raises(DataError, match="character 1 of the text is U\\+D800, half of a surrogate pair"):
        encode("a\ud800b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "wrod"}, "unknown kind 'wrod'; choose one of word, space, char, byte"),
        ({"digits": "drop"}, "unknown digits 'drop'"),
        ({"unicode": "unicode-1.0.0"}, "unknown unicode"),
        ({"fold": "yes"}, "fold is 'yes'"),
        ({"kind": "byte", "fold": True}, "kind byte keeps every byte"),
        ({"kind": "byte", "digits": "shape"}, "kind byte keeps every byte"),
    ],
)
def test_options_that_do_not_exist(options, message):
    with pytest.raises(OptionError, match=message):
        Tokenizer(**options)


def test_json_round_trip_and_value_semantics():
    for tokenizer in (Tokenizer(), Tokenizer("char", fold=False, digits="shape"), Tokenizer("byte")):
        assert Tokenizer.from_json(tokenizer.to_json()) == tokenizer
        assert pickle.loads(pickle.dumps(tokenizer)) == tokenizer
        assert len({tokenizer, Tokenizer.from_json(tokenizer.to_json())}) == 1
    assert Tokenizer() != Tokenizer("char")
    with pytest.raises(AttributeError, match="immutable"):
        Tokenizer().kind = "char"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "subword"},
        {"kind": ["word"]},
        {"fold": None},
        {"fold": 1},
        {"digits": True},
        {"unicode": "../../etc"},
        {"extra": 1},
        {1: 1},
    ],
)
def test_json_is_read_strictly(change):
    with pytest.raises(DataError):
        Tokenizer.from_json(Tokenizer().to_json() | change)


def test_json_needs_every_key():
    for key in Tokenizer().to_json():
        document = Tokenizer().to_json()
        del document[key]
        with pytest.raises(DataError, match=f"no key '{key}'"):
            Tokenizer.from_json(document)
    with pytest.raises(DataError, match="a JSON object, not list"):
        Tokenizer.from_json([])


def test_ascii_needs_no_table():
    program = (
        "from tidegate.features.text import Tokenizer; from tidegate.features.characters import load\n"
        "Tokenizer().tokens(b'hello, world'); assert load.cache_info().currsize == 0\n"
        "Tokenizer().tokens('é'.encode()); assert load.cache_info().currsize == 1"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
