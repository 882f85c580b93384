"""Try random mutations of valid files in this process: each must be read, or refused in one sentence.

`python tests/attacks/mutations.py --seconds 60 --seed 1` tries as many as it can in that time, prints how many, and
writes a file that fails to mutation.bin.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import hostile

from tidegate.errors import TidegateError
from tidegate.model import Model
from tidegate.runtime import Predictor, State, load

GOLDEN = hostile.HERE.parent / "golden"
LONGEST_SENTENCE = 1000


class Target(NamedTuple):
    """Valid bytes, and the function that reads their mutations."""

    name: str
    valid: bytes
    read: Callable[[bytes, Path], object]


def targets(folder: Path) -> list[Target]:
    """List what to mutate: the golden models, one of newer layers, and states of three of them."""
    model = folder / "valid.safetensors"
    model.write_bytes(hostile.valid())
    predictor = load(model)
    files = [Target(path.name, path.read_bytes(), load_model) for path in sorted(GOLDEN.glob("*.safetensors"))]
    stations, finals = (Predictor(Model(*hostile.model_parts(name))) for name in ("stations", "finals"))
    return [
        *files,
        Target("attentive", hostile.valid("attentive"), load_model),
        Target("state", hostile.valid_state(), lambda content, _: restore(content, predictor, "er closes")),
        Target("state of a series", hostile.valid_state("stations"), lambda c, _: restore(c, stations, 1.5)),
        Target("state with steps", hostile.valid_state("finals"), lambda c, _: restore(c, finals, [1, 2])),
    ]


def load_model(content: bytes, folder: Path) -> object:
    path = folder / "mutation.safetensors"
    path.write_bytes(content)
    return load(path)


def restore(content: bytes, predictor: Predictor, piece: object) -> object:
    """Restore a mutated state and push one piece; its checksum is corrected, so that what is before it gets checked."""
    if len(content) > 32:
        content = hostile.append_sum(content[:-32])
    pool = predictor.pool()
    pool.restore(0, State.from_bytes(content))
    return pool.push([(0, piece, True)])[0].values


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Change the bytes in up to four places, most of them in the header."""
    mutation = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(min(len(mutation), rng.choice([32, 4000, len(mutation)]))) if mutation else 0
        end = at + rng.choice([0, 1, 1, 2, 8, 40])
        flipped = bytes(byte ^ 1 << rng.randrange(8) for byte in mutation[at : at + 1])
        tokens = (b"0", b"-1", b"9" * 30, b'"', b"[", b"}", b"null")
        mutation[at:end] = rng.choice(
            [b"", rng.randbytes(1), rng.randbytes(end - at), rng.choice(tokens), mutation[end : 2 * end - at], flipped]
        )
    return bytes(mutation)


def try_mutation(target: Target, folder: Path, rng: random.Random) -> str | None:
    """Try one more mutation and return the sentence that refuses it; None if it can be read."""
    content = mutate(target.valid, rng)
    try:
        target.read(content, folder)
    except TidegateError as error:
        sentence = str(error)
        if "\n" not in sentence and len(sentence) < LONGEST_SENTENCE:
            return sentence
        raise AssertionError(f"{target.name}: no short sentence: {sentence!r}") from error
    except Exception:
        Path("mutation.bin").write_bytes(content)
        raise
    return None


def try_mutations(folder: Path, seed: int) -> Iterator[str | None]:
    """Yield the results of mutations without end, of one target after the other."""
    rng, files = random.Random(seed), targets(folder)
    while True:
        for target in files:
            yield try_mutation(target, folder, rng)


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    count = read = 0
    with tempfile.TemporaryDirectory() as folder:
        end = time.monotonic() + args.seconds
        for sentence in try_mutations(Path(folder), args.seed):
            count, read = count + 1, read + (sentence is None)
            if time.monotonic() > end:
                break
    print(f"{count} mutations, {count - read} refused, {read} read")


if __name__ == "__main__":
    sys.exit(main())
