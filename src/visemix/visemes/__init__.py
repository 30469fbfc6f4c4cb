"""Viseme labels of words: CMUdict pronunciation -> phonemes -> viseme classes.

LipGen (Sec. II-B) trains an auxiliary multi-label branch on 18 viseme classes. Its map is printed
only as a picture (Fig. 3), and the source it cites (TCD-TIMIT) prints a map of 11 classes, so the
18-class map cannot be recovered. What the text fixes is that bet/bat and choke/joke have one
viseme sequence: EH with AE, and CH with JH. `maps/` holds published maps and two 18-class maps
built to meet those constraints; `maps/sources.csv` says where each comes from.
"""

from importlib.resources import files
from pathlib import Path

import pandas as pd

MAPS = files("visemix.visemes") / "maps"


class PronunciationError(KeyError):
    """A word has no pronunciation, or a phoneme has no viseme."""

    def __str__(self) -> str:  # KeyError would print the message in quotes
        return self.args[0]


def read_viseme_map(name: str) -> dict[str, str]:
    """Return {phoneme: viseme class} of `maps/<name>.csv`, stress-free ARPAbet symbols.

    A phoneme to which the map gives no class (HH in `jeffers-barley-tcdtimit`) is left out.
    Raises ValueError for an unknown map name.
    """
    path = MAPS / f"{name}.csv"
    if not path.is_file():
        names = {p.name.removesuffix(".csv") for p in MAPS.iterdir()} - {"sources"}
        known = ", ".join(sorted(names))
        raise ValueError(f"visemes.map: no viseme map {name!r}; known maps: {known}")
    with path.open() as file:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return {p: v for p, v in zip(table.phoneme, table.viseme, strict=True) if v}


def viseme_classes(viseme_map: dict[str, str]) -> list[str]:
    """Classes of a map in alphabetical order: the columns of the multi-hot vector."""
    return sorted(set(viseme_map.values()))


def phonemes_of(word: str, extra: dict[str, str] | None = None) -> list[str]:
    """ARPAbet phonemes of a word, stress marks removed; the first CMUdict pronunciation.

    CMUdict lists several pronunciations of some words and LipGen does not say which it takes;
    taking the first is our reading. `extra` maps upper-case words to pronunciations in CMUdict's
    format ("V IH Z M IH K S") and goes before the dictionary. Raises PronunciationError for a word
    that neither has.
    """
    import pronouncing

    found = (extra or {}).get(word.upper())
    if found is None:
        found = next(iter(pronouncing.phones_for_word(word.lower())), None)
    if found is None:
        raise PronunciationError(
            f"no pronunciation of {word!r} in CMUdict; add a line '{word.upper()} PH OW N IY M Z' "
            "to a text file and name that file in params.yaml under visemes.pronunciations"
        )
    # some entries carry a comment behind '#', such as '# foreign french'
    return [phoneme.rstrip("012") for phoneme in found.split("#")[0].split()]


def visemes_of(phonemes: list[str], viseme_map: dict[str, str]) -> list[str]:
    """Viseme class of each phoneme, in order; repeats are kept.

    Raises PronunciationError when the map gives a phoneme no class.
    """
    missing = [p for p in phonemes if p not in viseme_map]
    if missing:
        raise PronunciationError(
            f"the viseme map has no class for {', '.join(missing)}; choose another visemes.map"
        )
    return [viseme_map[p] for p in phonemes]


def read_pronunciations(path: str | Path | None) -> dict[str, str]:
    """Read extra pronunciations, one 'WORD PH OW N IY M Z' a line; {} when `path` is None."""
    if path is None:
        return {}
    lines = [line.split(maxsplit=1) for line in Path(path).read_text().splitlines() if line.strip()]
    bad = [line for line in lines if len(line) != 2]
    if bad:
        raise ValueError(f"{path}: line {bad[0][0]!r} has no phonemes; write 'WORD PH OW N IY M Z'")
    return {word.upper(): phonemes for word, phonemes in lines}


def viseme_table(
    words: list[str], map_name: str, pronunciations: str | Path | None = None
) -> pd.DataFrame:
    """Viseme labels of `words`, one row a word in the order given.

    Columns: word; phonemes (list of ARPAbet symbols); visemes (list of classes, in order);
    multi_hot (list of 0/1, one entry a class of `viseme_classes`, 1 where the word has it).
    The multi-hot set is our reading of LipGen's "multi-label classification" (counts and order
    are not used as targets). Raises PronunciationError listing every word that fails.
    """
    viseme_map = read_viseme_map(map_name)
    classes = viseme_classes(viseme_map)
    extra = read_pronunciations(pronunciations)
    rows, problems = [], []
    for word in words:
        try:
            phonemes = phonemes_of(word, extra)
            visemes = visemes_of(phonemes, viseme_map)
        except PronunciationError as error:
            problems.append(f"{word}: {error}")
            continue
        rows.append((word, phonemes, visemes, [int(c in visemes) for c in classes]))
    if problems:
        raise PronunciationError("\n".join(problems))
    return pd.DataFrame(rows, columns=["word", "phonemes", "visemes", "multi_hot"])
