"""A manifest of made-up clips of words."""

from visemix.corpora.manifest import manifest_frame


def make_manifest(n_words=4, train=5, speakers=True):
    rows = []
    for split, count in (("train", train), ("val", 2), ("test", 2)):
        for w in range(n_words):
            for k in range(count):
                name = f"{split}/WORD{w}_{k:05d}"
                media = f"lipread_mp4/WORD{w}/{split}/WORD{w}_{k:05d}.mp4"
                speaker = f"{split}-{w}-{k}" if speakers else ""
                digest = f"{len(rows):064x}"
                rows.append(
                    (
                        name,
                        "lrw",
                        split,
                        f"WORD{w}",
                        media,
                        29,
                        25.0,
                        0.3,
                        0.8,
                        speaker,
                        digest,
                        "ok",
                        "",
                    )
                )
    return manifest_frame(rows)
