"""A model whose layers run step by step, and whose file says that streams keep steps."""

from hostile import run, with_document

REFUSED = "streams: unknown key 'keeps'; expected yes"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(streams={"yes": True, "keeps": 9}))


if __name__ == "__main__":
    run(attack, REFUSED)
