"""The tokenizer against a slow implementation of its definition, and any split of a text against the whole."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import DataError
from tidegate.features.characters import UNICODE, load
from tidegate.features.text import WORD_BYTES, Tokenizer

unhurried = settings(deadline=None)
CLASSES, _ = load(UNICODE)
MATCHING = f"unicode-{unicodedata.unidata_version}" == UNICODE

NASTY = (
    "aB_9 \t\n\x00-'.%"
    "éİıßſΣςσǆΐﬃ"
    "e\u0301\u0323\u20e3\ufe0f"
    "世界々〇ひらカーﾞ한국"
    "سلام\u200cها٣"
    "👩\u200d👩\u200d👧🏽🇩🇪"
    "\u00ad\ufeff\u2028\u3000½²५\U00020000\U0010ffff"
    "\x1c\x1f\x85\u00a0\u2003\u200b"
)
texts = st.one_of(
    st.text(st.sampled_from(NASTY), max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text(st.sampled_from("aé世👩\u0301 "), min_size=15, max_size=150),
    st.text(st.sampled_from("aéक𝔸"), min_size=15, max_size=150),
)
tokenizers = st.one_of(
    st.builds(Tokenizer, st.sampled_from(["word", "space", "char"]), st.booleans(), st.sampled_from(["keep", "shape"])),
    st.just(Tokenizer("byte")),
)


def tokenize_slowly(tokenizer: Tokenizer, text: str) -> list[str]:
    """Return the tokens by the definition, one character at a time."""
    pieces, word = [], ""
    for character in text:
        letter = CLASSES[ord(character)]
        if tokenizer.kind == "space":
            letter = "s" if character.isspace() else "w"
        if tokenizer.kind == "char":
            pieces.append(character)
            continue
        grows = letter in "wd" and len((word + character).encode()) <= WORD_BYTES
        if not grows:
            pieces, word = [*pieces, word], ""
        if letter in "wd":
            word += character
        elif letter in "io":
            pieces.append(character)
    return [finish(tokenizer, piece) for piece in [*pieces, word] if piece]


def finish(tokenizer: Tokenizer, piece: str) -> str:
    if tokenizer.digits == "shape":
        piece = "".join("0" if CLASSES[ord(character)] == "d" else character for character in piece)
    return piece.casefold() if tokenizer.fold else piece


def feed_chunks(tokenizer: Tokenizer, data: bytes, cuts: list[int]) -> list[bytes]:
    tokens, pending = [], b""
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        more, pending = tokenizer.feed(data[start:end], pending)
        assert len(pending) < WORD_BYTES
        tokens += more
    return tokens + tokenizer.flush(pending)


@pytest.mark.skipif(not MATCHING, reason="this Python's str.casefold is of another Unicode version")
@unhurried
@given(tokenizers.filter(lambda t: t.kind != "byte"), texts)
def test_the_tokens_are_those_of_the_definition(tokenizer, text):
    assert [token.decode() for token in tokenizer.tokens(text.encode())] == tokenize_slowly(tokenizer, text)


@unhurried
@given(tokenizers, texts, st.data())
def test_any_split_gives_the_tokens_of_the_whole(tokenizer, text, draw):
    data = text.encode()
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=4))
    whole = tokenizer.tokens(data)
    assert feed_chunks(tokenizer, data, cuts) == whole
    assert feed_chunks(tokenizer, data, list(range(len(data)))) == whole


@unhurried
@given(texts)
def test_tokens_between_white_space_are_those_of_str_split(text):
    pieces = b"".join(token for token in Tokenizer("space", fold=False).tokens(text.encode()))
    assert pieces.decode() == "".join(text.split())
    short = [word for word in text.split() if len(word.encode()) <= WORD_BYTES]
    assert Tokenizer("space", fold=False).tokens(" ".join(short).encode()) == [word.encode() for word in short]


@unhurried
@given(texts)
def test_bytes_and_characters_lose_nothing(text):
    assert b"".join(Tokenizer("byte").tokens(text.encode())) == text.encode()
    assert b"".join(Tokenizer("char", fold=False).tokens(text.encode())) == text.encode()


@unhurried
@given(texts, st.sampled_from(["word", "char"]))
def test_folding_twice_is_folding_once(text, kind):
    once = Tokenizer(kind).tokens(text.encode())
    assert [Tokenizer("char").tokens(token) for token in once] == [
        Tokenizer("char", fold=False).tokens(token) for token in once
    ]


@unhurried
@given(st.binary(max_size=12), st.binary(max_size=12), st.sampled_from(["word", "space", "char"]))
def test_any_bytes_give_tokens_or_one_error_whole_and_split(first, second, kind):
    def outcome(cuts):
        try:
            return feed_chunks(Tokenizer(kind), first + second, cuts)
        except DataError:
            return None

    assert outcome([len(first)]) == outcome([])
