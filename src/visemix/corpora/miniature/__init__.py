"""The embedded corpus: invented people who speak LRW's words, in LRW's folder layout."""

from visemix.corpora.miniature.corpus import CorpusError, make_corpus

__all__ = ["CorpusError", "make_corpus"]
