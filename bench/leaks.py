"""Compare a million interleaved events over 1,000 streams of one pool with isolated streams, every score bit for bit.

    python bench/leaks.py [--events 1000000] [--streams 1000]

Events of all streams are shuffled together and pushed in batches of changing size, with ended, dropped and restored
streams in between. Any state that leaks to another stream, or outlives its message, changes a bit.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from common import record

from tidegate.runtime import Pool, Predictor, State, Stream
from tidegate.verify.samples import WORDS, sample


def draw_events(events: int, streams: int, random: np.random.Generator) -> list[tuple[int, str, bool]]:
    """Draw random events of random streams: words, spaces, pieces that end inside a word, and ends of messages."""
    parts = [w for word in WORDS for w in (word, word + " ", word[: len(word) // 2], " ")]
    pieces = random.integers(len(parts), size=(events, 2))
    ids, ends = random.integers(streams, size=events), random.random(events) < 0.1
    return [(int(id), parts[a] + parts[b], bool(end)) for id, (a, b), end in zip(ids, pieces, ends, strict=True)]


def push(pool: Pool, streams: dict[int, Stream], events: list[tuple[int, str, bool]]) -> int:
    """Push events to the pool and to the isolated streams, and count the scores that differ."""
    pooled = pool.push(events)
    isolated = [streams[id].push(piece, end) for id, piece, end in events]
    return sum(bits(a) != bits(b) for a, b in zip(pooled, isolated, strict=True))


def bits(scores: Any) -> tuple[bytes | None, str]:
    return None if scores.values is None else scores.values.tobytes(), scores.reason


def disturb(pool: Pool, streams: dict[int, Stream], predictor: Predictor, random: np.random.Generator) -> int:
    """Drop one stream, send another through bytes, and count the states that differ from the isolated ones."""
    gone, moved = (int(i) for i in random.choice(len(streams), 2, replace=False))
    if gone in pool:
        pool.drop(gone)
    streams[gone] = predictor.stream()
    if moved in pool:
        pool.restore(moved, State.from_bytes(pool.state(moved).to_bytes()))
    return sum(pool.state(id) != stream.state for id, stream in streams.items() if id in pool and id % 50 == 0)


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=1000)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    predictor = Predictor(sample(size=24, over=("last", "mean", "max", "attention")))
    pool, streams = predictor.pool(), {id: predictor.stream() for id in range(options.streams)}
    done = wrong = 0
    start = time.perf_counter()
    while done < options.events:
        events = draw_events(min(int(random.integers(1, 5000)), options.events - done), options.streams, random)
        wrong += push(pool, streams, events) + disturb(pool, streams, predictor, random)
        done += len(events)
    seconds = time.perf_counter() - start
    figures = {"events": done, "streams": options.streams, "differing": wrong, "seconds": seconds}
    record.write(options.out, "leaks", record.with_provenance(figures))
    print(f"{done:,} events over {options.streams:,} streams in {seconds:.0f} s: {wrong} differ")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
