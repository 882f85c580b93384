"""Vectors of words: text files, archives, which words are kept, and damaged lines by their number."""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tidegate.data.word_vectors import list_files, read_width, read_word_vectors
from tidegate.errors import DataError
from tidegate.features.text import Tokenizer

Write = Callable[[str, object], str]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(name: str, content: object) -> str:
        data = content if isinstance(content, bytes) else str(content).encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return name

    return write


def archive(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def read(path: str, *wanted: str, fold: bool = True) -> dict[str, list[float]]:
    normalise = Tokenizer("word", fold=fold).normalise
    found = read_word_vectors(path, {word.encode() for word in wanted}, normalise)
    assert all(row.dtype == np.float32 and row.shape == (found.width,) for row in found.vectors.values())
    return {word.decode(): row.tolist() for word, row in found.vectors.items()}


@pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.txt.gz", "unnamed"])
@pytest.mark.parametrize(
    "content",
    [
        "tide 0.5 -1\nÉtat 1e-2 2\nsea 3 4\n",
        "3 2\ntide 0.5 -1 \nÉtat 1e-2 2 \nsea 3 4 \n",
        "tide\t0.5\t-1\r\nÉtat\t1e-2\t2\r\nsea\t3\t4",
    ],
)
def test_glove_and_word2vec_text_plain_and_compressed(written: Write, name: str, content: str) -> None:
    path = written(name, content)
    assert read_width(path) == 2
    found = read(path, "tide", "état", "absent")
    assert found == {"tide": [0.5, -1.0], "état": [pytest.approx(0.01), 2.0]}
    assert read_word_vectors(path, (), bytes.lower).words == 3


def test_words_with_spaces_are_split_from_the_right(written: Write) -> None:
    path = written("v.txt", "tide 1 2\nat name@domain.com 3 4\n. . . 5 6\n1 7 8\n")
    assert read(path, "tide", "at name@domain.com", ". . .", "1") == {
        "tide": [1.0, 2.0],
        "at name@domain.com": [3.0, 4.0],
        ". . .": [5.0, 6.0],
        "1": [7.0, 8.0],
    }


def test_a_word_spelt_as_it_is_wanted_counts_before_one_that_is_folded(written: Write) -> None:
    path = written("v.txt", "Apple 1 1\napple 2 2\nAPPLE 3 3\nPear 4 4\nPEAR 5 5\napple 6 6\n")
    assert read(path, "apple", "pear") == {"apple": [2.0, 2.0], "pear": [4.0, 4.0]}
    assert read(path, "Apple", "pear", fold=False) == {"Apple": [1.0, 1.0]}
    assert read_word_vectors(path, {b"apple"}, bytes.lower).repeated == 1


def test_the_digest_is_that_of_the_file(written: Write) -> None:
    from hashlib import sha256

    for name in ("v.txt", "v.txt.gz"):
        path = written(name, "tide 1 2\n")
        assert read_word_vectors(path, (), bytes).sha256 == sha256(Path(path).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tide 1 2\nsea 3\n", r"v\.txt:2: has 1 numbers behind its word, and the vectors have 2; correct the line"),
        ("tide 1 2\nsea 3 4 x\n", r"v\.txt:2: 'x' is not one of the 2 numbers that end it; correct the line"),
        ("tide 1 2\nsea 3 0x4\n", r"v\.txt:2: '0x4' is not a number; correct the line, or fetch the file again"),
        ("tide 1 2\nsea 3 nan\n", r"v\.txt:2: 'nan' is not a number"),
        ("tide 1 2\nsea 3 1e99\n", r"v\.txt:2: '1e99' is not a finite number"),
        ("tide 1 2\nsea 3 4-5\n", r"v\.txt:2: '4-5' is not a finite number"),
        ("tide 1 2\n\nsea 3 4\n", r"v\.txt:2: has 0 numbers behind its word"),
        ("tide 1 2\n 3 4\n", r"v\.txt:2: has no word before its numbers"),
        (b"tide 1 2\ns\xff 3 4\n", r"v\.txt:2: the word 's\\xff' is not UTF-8"),
        ("3 2\ntide 1 2\nsea 3 4\n", r"v\.txt: has 2 words, and its first line promises 3; fetch it again"),
        ("1 3\ntide 1 2\n", r"v\.txt:2: has 2 numbers behind its word, and the vectors have 3"),
        (
            "a text\nof two lines\n",
            r"v\.txt: line 1 gives a word 0 numbers, and 1 to 4,096 are possible; exp",
        ),
        ("", r"v\.txt: is empty; expected a text file of word2vec, GloVe or fastText"),
        (b"PK\x03\x04 and more", r"v\.txt: is a zip archive; .*; unpack it and give one of its files"),
        (b"\xba\x16\x4f\x2f\x0c", r"v\.txt: is binary, which is not read; write it as text, with gensim"),
        (b"\x80\x04\x95 pickle", r"v\.txt: is a pickle; expected a text file"),
    ],
)
def test_a_damaged_file_is_refused_with_the_line(written: Write, content: object, message: str) -> None:
    path = written("v.txt", content)
    with pytest.raises(DataError, match=message):
        read(path, "tide", "sea")


def test_a_compressed_file_that_is_cut_off_is_refused(written: Write) -> None:
    path = written("v.txt.gz", "".join(f"word{i} {i} {i * i}\n" for i in range(5000)))
    Path(path).write_bytes(Path(path).read_bytes()[:-100])
    with pytest.raises(DataError, match=r"v\.txt\.gz: is not a complete gzip file .*; fetch or compress it again"):
        read(path, "word3")


def test_binary_vectors_and_missing_files_are_refused(written: Write) -> None:
    with pytest.raises(DataError, match=r"v\.bin: is binary, .* or take the \.vec file of fastText"):
        read_width(written("v.bin", b"2 2\ntide \x00\x00\x00\x00\x00\x00\x00\x00"))
    with pytest.raises(DataError, match=r"missing\.txt: there is no such file"):
        read_width("missing.txt")
    with pytest.raises(DataError, match="is a folder"):
        read_width(".")


def test_an_archive_with_its_words(written: Write) -> None:
    vectors = np.arange(6, dtype=np.float16).reshape(3, 2)
    path = written("v.npz", archive(vectors=vectors, words=np.array(["Tide", "sea", "état"])))
    assert (read_width(path), list_files(path)) == (2, ["v.npz"])
    assert read(path, "tide", "état") == {"tide": [0.0, 1.0], "état": [4.0, 5.0]}


@pytest.mark.parametrize("name", ["words.txt", "words.txt.gz"])
def test_an_archive_of_small_integers_with_words_beside_it(written: Write, name: str) -> None:
    q, scale = np.array([[1, -2], [127, 0]], np.int8), np.array([0.5, 2], np.float32)
    path = written("v.npz", archive(q=q, scale=scale))
    written(name, "tide\nsea\n")
    assert list_files(path) == ["v.npz", name]
    assert read(path, "tide", "sea") == {"tide": [0.5, -1.0], "sea": [254.0, 0.0]}
    before = read_word_vectors(path, (), bytes).sha256
    written(name, "tide\nlake\n")
    assert read_word_vectors(path, (), bytes).sha256 != before


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": [[1.0]]}, r"v\.npz: has no array 'vectors' \(its arrays: 'x'\)"),
        ({"vectors": [1.0]}, r"v\.npz: array 'vectors' is float64 \[1\]; expected numbers \[n, width\]"),
        ({"vectors": [[1]]}, r"array 'vectors' is int64; add an array 'scale' \[n\]"),
        ({"vectors": [[1]], "scale": [[1.0]]}, r"array 'scale' is float64 \[1, 1\]; expected numbers \[1\]"),
        ({"vectors": [[np.inf]], "words": ["a"]}, r"row 1 of array 'vectors' has a number that is NaN or infinite"),
        ({"vectors": [[1.0]], "words": ["a", "b"]}, r"has 1 vectors, and the array 'words' has 2 words"),
        ({"vectors": [[1.0]], "words": [""]}, r"v\.npz: array 'words': row 1 is empty; correct it"),
        ({"vectors": [[1.0]], "words": [1]}, r"array 'words': is int64 \[1\]; expected text \[n\]"),
        (
            {"vectors": [[1.0]]},
            r"has the vectors but not their words; add an array 'words' to it, or a file words",
        ),
    ],
)
def test_a_wrong_archive_is_refused(written: Write, arrays: dict[str, object], message: str) -> None:
    path = written("v.npz", archive(**arrays))
    with pytest.raises(DataError, match=message):
        read(path, "a")


def test_forty_thousand_lines_of_three_hundred_numbers_take_seconds(written: Write) -> None:
    row = " ".join(["-0.1234"] * 300)
    path = written("v.txt", "".join(f"word{i} {row}\n" for i in range(40_000)))
    start = time.process_time()
    found = read_word_vectors(path, {f"word{i}".encode() for i in range(0, 40_000, 20)}, bytes.lower)
    assert (found.words, len(found.vectors)) == (40_000, 2000)
    assert time.process_time() - start < 5
