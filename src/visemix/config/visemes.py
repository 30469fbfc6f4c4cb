"""The section `visemes`: from words to viseme classes."""

from visemix.config.section import Section


class Visemes(Section):
    """Pronunciations and the map from phonemes to visemes."""

    map: str = "constructed-18"
    """A file of src/visemix/visemes/maps, without its ending. LipGen's own map of 18 classes is not
    available; this one is constructed by the project."""
    pronunciations: str | None = None
    """Text file with lines such as `WORD PH OW N IY M Z` for words that CMUdict lacks; null:
    CMUdict alone."""
