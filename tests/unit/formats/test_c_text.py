"""Names, strings, numbers and comments: no text in a model file can break the C code."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.errors import ModelFileError, OptionError
from tidegate.formats.c.literals import (
    UniqueNames,
    format_comment,
    format_float,
    format_hex_float,
    format_string,
    make_name,
    validate_name,
)

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(FLOATS)
@example(-0.0)
@example(2.0**-149)
def test_a_float_keeps_its_bits(value: float) -> None:
    for text in (format_hex_float(value), format_float(value)):
        assert text.endswith("f")
        read = float.fromhex(text[:-1]) if "x" in text else float(text[:-1])
        assert np.float32(read).tobytes() == np.float32(value).tobytes(), text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60))
@example('??/" /* */ \\ \n % é \U0001f600 "?>"')
def test_a_string_is_printable_and_reads_back(text: str) -> None:
    literal = format_string(text)
    assert all(" " <= c <= "~" for c in literal)
    assert "??" not in literal
    assert c_string(literal) == text.encode()


def c_string(literal: str) -> bytes:
    """Read a literal as a C compiler does: octal escapes, and a backslash before a character that stands for itself."""
    out, i, body = bytearray(), 0, literal[1:-1]
    while i < len(body):
        if body[i] != "\\":
            assert body[i] != '"'
            out.append(ord(body[i]))
            i += 1
        elif body[i + 1].isdigit():
            out.append(int(body[i + 1 : i + 4], 8))
            i += 4
        else:
            out.append(ord(body[i + 1]))
            i += 2
    return bytes(out)


@given(st.text(max_size=60))
@example("*/ int main(void) { } /*")
@example("a */*/ b //**// ??/")
@example("**//")
def test_a_comment_stays_a_comment(text: str) -> None:
    inside = format_comment(text)
    assert "*/" not in inside
    assert "/*" not in inside
    assert all(" " <= c <= "~" for c in inside)


@given(st.lists(st.text(min_size=1, max_size=6).filter(str.isidentifier), max_size=12))
def test_names_stay_apart(found: list[str]) -> None:
    names = UniqueNames()
    made = [names.make("x_", name) for name in found]
    assert len(set(made)) == len(made)
    assert all(name.isascii() and name.isidentifier() for name in made)


@pytest.mark.parametrize("name", ["", "3x", "a-b", "größe", "a b", "x" * 65, "_x", "layer1", "a\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="expected a C identifier"):
        validate_name(name)


@given(st.text(max_size=90))
@example("layer1")
def test_a_name_can_be_made_of_any_files(stem: str) -> None:
    assert validate_name(make_name(stem)) == make_name(stem)


@pytest.mark.parametrize(("label", "said"), [("a\0b", "character 0"), ("x" * 5000, "at most 4095")])
def test_a_label_that_c_cannot_hold_is_refused(label: str, said: str) -> None:
    with pytest.raises(ModelFileError, match=said):
        format_string(label)


def test_a_compiler_reads_the_same_strings_and_floats(tmp_path: Path) -> None:
    if not (cc := shutil.which("cc")):
        pytest.skip("no C compiler here")
    texts = ['say "hä??/" \\ % 日本\n', "?" * 9, "\x01\x7f1"]
    values = [0.1, -0.0, 2.0**-149, 3.4028234663852886e38, -1.5]
    lines = [f"const char *const text_{i} = {format_string(text)};" for i, text in enumerate(texts)]
    lines += [
        f"const float value_{i} = {format_hex_float(v)}, other_{i} = {format_float(v)};" for i, v in enumerate(values)
    ]
    (tmp_path / "a.c").write_text("\n".join(lines) + "\n", "utf-8")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC", "-o", "a.so"]
    subprocess.run([cc, *flags, "a.c"], cwd=tmp_path, check=True)
    loaded = ctypes.CDLL(str(tmp_path / "a.so"))
    for i, text in enumerate(texts):
        assert ctypes.c_char_p.in_dll(loaded, f"text_{i}").value == text.encode()
    for i, value in enumerate(values):
        for kind in ("value", "other"):
            found = ctypes.c_float.in_dll(loaded, f"{kind}_{i}").value
            assert np.float32(found).tobytes() == np.float32(value).tobytes()
