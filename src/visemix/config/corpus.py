"""The section `corpus`: which videos are read."""

from typing import Literal

from pydantic import model_validator

from visemix.config.section import PositiveInt, Section


class ClipsPerWord(Section):
    """Clips that the project renders of each word of the miniature corpus."""

    train: PositiveInt
    """Clips of each word in the training split."""
    val: PositiveInt
    """Clips of each word in the validation split."""
    test: PositiveInt
    """Clips of each word in the test split."""


class Corpus(Section):
    """The corpus of words that the recognisers are trained and tested on."""

    name: Literal["miniature", "lrw"] = "lrw"
    """`miniature`: rendered and spoken by the project; `lrw`: the licensed data set."""
    root: str = "data/corpora/lrw"
    """Folder that holds `lipread_mp4/`; the miniature corpus is written there."""
    words: list[str] | None = None
    """Words to recognise, each once; null: every word folder of the corpus (LRW: 500)."""
    clips_per_word: ClipsPerWord | None = None
    """Miniature only: clips of each word in train, val and test; null for a corpus that exists."""
    seed: int = 0
    """Miniature only: seed of the speakers, their looks and voices, and every clip."""

    @model_validator(mode="after")
    def miniature_is_complete(self):
        if self.name == "miniature" and not (self.words and self.clips_per_word):
            raise ValueError("the miniature corpus needs corpus.words and corpus.clips_per_word")
        if self.words and len(set(self.words)) != len(self.words):
            raise ValueError("corpus.words names a word twice; remove one of them")
        return self
