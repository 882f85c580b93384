"""Files changed byte by byte: each is read or refused in one sentence."""

from itertools import islice

import mutations


def test_a_mutation_is_read_or_refused_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = list(islice(mutations.try_mutations(tmp_path, 1), 1000))
    refused = [sentence for sentence in results if sentence is not None]
    assert len(refused) > 600
    assert len({sentence.rpartition(": ")[2][:20] for sentence in refused}) > 30
    assert len(results) > len(refused)
