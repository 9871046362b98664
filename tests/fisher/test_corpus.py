"""Corpora as documents, and the seeded subsample."""

import re

import pytest

from fisher.pretraining.corpus import corpus_hash, read_corpus, subsample_order


def test_lines_are_documents_and_a_tab_makes_a_pair(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_bytes("\ufeffone two\r\n\n   \nfirst\tsecond\nä\u2028b\n".encode())
    assert read_corpus(path) == ["one two", ("first", "second"), "ä\u2028b"]


def test_the_hash_is_of_the_documents_and_their_order():
    assert corpus_hash(["a", "b"]) != corpus_hash(["b", "a"])
    assert corpus_hash([("a", "b")]) == corpus_hash(["a\tb"])


def test_the_subsample_is_seeded_and_a_permutation():
    assert subsample_order(50, 1) == subsample_order(50, 1) != subsample_order(50, 2)
    assert sorted(subsample_order(50, 1)) == list(range(50))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "corpus .*corpus.txt holds no text: give a file with one document a line"),
        (b" \n\n\t\n", "corpus .*corpus.txt holds no text"),
        (b"ab\xff\xfe", "corpus: .*corpus.txt, line 1: is not UTF-8; it looks like another encoding, save it as UTF-8"),
        (b"ab\0c", "corpus: .*corpus.txt, line 1: holds a NUL byte, so it is not a text file in UTF-8"),
        (".", r"corpus: .*: cannot be read \(Is a directory\)"),
        ("absent", "there is no corpus file .*absent: give a text file or a hub data set"),
        ("nothing.txt", "there is no corpus file .*nothing.txt"),
    ],
)
def test_unusable_corpora_have_their_sentences(tmp_path, content, sentence, refusal):
    (tmp_path / "corpus.txt").write_bytes(content if isinstance(content, bytes) else b"good")
    assert re.search(
        sentence, refusal(read_corpus, tmp_path / ("corpus.txt" if isinstance(content, bytes) else content))
    )


def test_rows_of_a_hub_data_set_are_documents(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def load(identifier, config, *, split):
        asked.append((identifier, config, split))
        return {"text": ["one\ntwo", " ", "three"]}

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert read_corpus("org/wiki:simple:validation") == ["one two", "three"]
    assert read_corpus("org/wiki") == ["one two", "three"]
    assert asked == [("org/wiki", "simple", "validation"), ("org/wiki", None, "train")]


def test_a_hub_data_set_without_text_is_refused(monkeypatch, refusal):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: {"words": []})
    assert "corpus org/wiki is no file and cannot be loaded from the hub" in refusal(read_corpus, "org/wiki")
