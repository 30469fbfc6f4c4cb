import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.helpers.toy_codebook import small_codebook

from visemix.clips.shards import open_crops, read_rejects
from visemix.config.generator_names import GENERATORS, TEXT_DRIVEN, TRAINED
from visemix.corpora.manifest import manifest_frame
from visemix.corpora.miniature import make_corpus
from visemix.faces.pictures import PictureError
from visemix.generators import portrait
from visemix.generators.base import GenerationError, Generator, generator_class, mouth_motion
from visemix.generators.sound_to_visemes import save_codebook
from visemix.heads.speech import Voice, say
from visemix.media import Clip, write_clip
from visemix.synthesis import build
from visemix.synthesis.audio_visual_sync import read_lag
from visemix.synthesis.build import synthesise_set
from visemix.synthesis.checks import check_crops, check_frames, check_repeats, check_stuck, repeats
from visemix.synthesis.pairing import LeakError, make_pairs

WORDS = ("MONEY", "PEOPLE")
CLIPS = {"train": 3, "val": 1, "test": 1}


@dataclasses.dataclass(frozen=True)
class Corpus:
    root: Path
    portraits: Path
    manifest: pd.DataFrame
    pairs: pd.DataFrame


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Words spoken over a grey picture, one training clip silent and one cut short; 2 portraits."""
    root = tmp_path_factory.mktemp("corpus")
    rows, grey = [], np.full((29, 32, 32, 3), 120, np.uint8)
    for word in WORDS:
        for number, (split, k) in enumerate((s, k) for s, n in CLIPS.items() for k in range(n)):
            sound = say(f"the {word.lower()} today", Voice("gmw/en", 150 + 6 * number)).sound
            if (word, split, k) == ("MONEY", "train", 0):
                sound = np.zeros(18560, np.int16)
            media = f"lipread_mp4/{word}/{split}/{word}_{k:05d}.mp4"
            (root / media).parent.mkdir(parents=True, exist_ok=True)
            write_clip(root / media, grey, sound)
            digest = hashlib.sha256((root / media).read_bytes()).hexdigest()
            rows.append(
                (
                    f"{split}/{word}_{k:05d}",
                    "miniature",
                    split,
                    word,
                    media,
                    29,
                    25.0,
                    0.3,
                    0.8,
                    f"{split}-speaker-{word}-{k}",
                    digest,
                    "ok",
                    "",
                )
            )
    broken = root / "lipread_mp4/PEOPLE/train/PEOPLE_00000.mp4"
    broken.write_bytes(broken.read_bytes()[:2000])
    rendered = tmp_path_factory.mktemp("rendered")
    make_corpus(rendered, ["MONEY"], {"train": 1, "val": 0, "test": 0}, portraits=2, seed=3)
    (rendered / "portraits" / "empty.png").write_bytes(b"nothing to see")
    manifest = manifest_frame(rows)
    pairs, excluded = make_pairs(manifest, rendered / "portraits", seed=1)
    assert excluded["reason"].tolist() == ["the picture cannot be read"]
    return Corpus(root, rendered / "portraits", manifest, pairs)


def prepare(folder: Path) -> Path:
    """A records path whose folder holds a small codebook already."""
    folder.mkdir()
    save_codebook(small_codebook(), portrait.codebook_path(folder))
    return folder / "records.parquet"


def synthesise(corpus: Corpus, folder: Path, records: Path, **options) -> None:
    options = {"pairs": corpus.pairs, "manifest": corpus.manifest, "clips_per_shard": 4} | options
    synthesise_set(
        options.pop("generator", "portrait"),
        media_root=corpus.root,
        portraits=corpus.portraits,
        folder=folder,
        records_path=records,
        **options,
    )


def digests(*folders: Path) -> dict:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in folder.iterdir()
        if path.name != "seconds.csv"
    }


@pytest.fixture(scope="module")
def made(corpus, tmp_path_factory):
    base = tmp_path_factory.mktemp("made")
    records = prepare(base / "records")
    synthesise(corpus, base / "crops", records)
    return base


def test_accepted_and_rejected_clips_have_records(corpus, made):
    records = pd.read_parquet(made / "records" / "records.parquet").set_index("clip_id")
    assert sorted(records.index) == sorted(corpus.pairs["clip_id"]) and len(records) == 10
    silent = records["source"] == "train/MONEY_00000"
    broken = records["source"] == "train/PEOPLE_00000"
    assert set(records["reason"][silent]) == {"silent sound"}
    assert (records["status"][silent | broken] == "rejected").all() and silent.any()
    assert all(records["reason"][broken]) and broken.any()
    assert (records["status"][~silent & ~broken] == "accepted").all()
    assert set(records["reason"][~silent & ~broken]) == {""}
    assert set(records["version"]) == {portrait.PortraitGenerator.version()}
    rejects = read_rejects(made / "crops").set_index("clip_id")
    assert rejects.reason.to_dict() == records["reason"][silent | broken].to_dict()
    lost = records.loc[rejects.index]  # they keep whose they are, and what they were made from
    assert rejects.speaker.tolist() == lost["portrait"].tolist()
    assert rejects.source.tolist() == lost["source"].tolist()
    accepted = open_crops(made / "crops").index.set_index("clip_id").source
    assert accepted.to_dict() == records["source"][~silent & ~broken].to_dict()


def test_crops_carry_label_portrait_and_word_times(corpus, made):
    with open_crops(made / "crops") as crops:
        index, pixels = crops.index, crops.read(np.arange(len(crops)))
    assert pixels.shape == (len(index), 29, 96, 96)
    assert all(mouth_motion(clip) > 10 for clip in pixels)
    pairs = corpus.pairs.set_index("clip_id").loc[index["clip_id"]]
    assert index["label"].tolist() == pairs["label"].tolist()
    assert index["speaker"].tolist() == pairs["portrait"].tolist()
    assert set(index["word_start_s"]) == {0.3}


def test_nothing_of_validation_or_test_reaches_the_set(corpus, made):
    records = pd.read_parquet(made / "records" / "records.parquet")
    held_out = corpus.manifest[corpus.manifest["split"] != "train"]
    sources = corpus.manifest.set_index("clip_id").loc[records["source"]]
    assert set(sources["split"]) == {"train"}
    for column in ("speaker", "sha256", "media"):
        assert not set(sources[column]) & set(held_out[column])
    assert not set(records["portrait"]) & set(held_out["speaker"])


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_held_out_sound_is_refused(corpus, tmp_path, split):
    pairs = corpus.pairs.copy()
    pairs.loc[0, ["source", "label"]] = f"{split}/MONEY_00000", "MONEY"
    with pytest.raises(LeakError, match="not of the training split"):
        synthesise(corpus, tmp_path / "crops", tmp_path / "records.parquet", pairs=pairs)
    assert not (tmp_path / "crops").exists()


def test_two_processes_give_the_same_bytes(corpus, made, tmp_path):
    synthesise(corpus, tmp_path / "crops", prepare(tmp_path / "records"), workers=2)
    assert digests(tmp_path / "crops", tmp_path / "records") == digests(
        made / "crops", made / "records"
    )


def test_parts_give_the_same_bytes(corpus, made, tmp_path):
    for part in range(2):
        synthesise(corpus, tmp_path / "crops", prepare(tmp_path / f"{part}"), part=(part, 2))
        assert not (tmp_path / f"{part}" / "records.parquet").exists()
    synthesise(corpus, tmp_path / "crops", prepare(tmp_path / "records"))
    assert not (tmp_path / "records" / "seconds.csv").exists()  # the parts made all clips
    assert digests(tmp_path / "crops", tmp_path / "records") == digests(
        made / "crops", made / "records"
    )


def test_killed_and_started_again(corpus, made, tmp_path):
    """kill -9 after the first shard: that shard stays, and the end is the same bytes."""
    records = prepare(tmp_path / "records")
    corpus.manifest.to_parquet(tmp_path / "manifest.parquet")
    corpus.pairs.to_parquet(tmp_path / "pairs.parquet")
    code = f"""
import pandas as pd
from visemix.synthesis.build import synthesise_set
synthesise_set("portrait", pd.read_parquet({str(tmp_path / "pairs.parquet")!r}),
    pd.read_parquet({str(tmp_path / "manifest.parquet")!r}), {str(corpus.root)!r},
    {str(corpus.portraits)!r}, {str(tmp_path / "crops")!r}, {str(records)!r}, clips_per_shard=4)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    first = tmp_path / "crops" / "shard-00000.json"
    while not first.exists() and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    written = first.with_suffix(".npy").stat().st_mtime_ns
    synthesise(corpus, tmp_path / "crops", records)
    assert first.with_suffix(".npy").stat().st_mtime_ns == written
    expected = digests(made / "crops", made / "records")
    assert digests(tmp_path / "crops", tmp_path / "records") == expected


def test_a_picture_without_a_face_is_a_reason_not_a_crash(corpus, tmp_path):
    pairs = corpus.pairs.assign(picture="empty.png", portrait="empty")
    pairs["clip_id"] = "portrait/empty/" + pairs.index.astype(str)
    synthesise(corpus, tmp_path / "crops", prepare(tmp_path / "records"), pairs=pairs)
    records = pd.read_parquet(tmp_path / "records" / "records.parquet")
    assert set(records["reason"]) == {"the picture cannot be read"}
    assert len(open_crops(tmp_path / "crops")) == 0


def test_wrong_arguments_are_named(corpus, tmp_path):
    with pytest.raises(ValueError, match=r"unknown generator 'diffusion'; known: .*portrait"):
        generator_class("diffusion")
    with pytest.raises(ValueError, match="unknown crop parameter 'smooth'"):
        synthesise(corpus, tmp_path / "a", tmp_path / "r.parquet", parameters={"smooth": 3})
    elsewhere = dataclasses.replace(corpus, portraits=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        synthesise(elsewhere, tmp_path / "a", tmp_path / "r.parquet")


GOOD = np.zeros((29, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    "frames, reason",
    [
        (GOOD[:20], "20 frames instead of 29"),
        (GOOD.astype(np.float32), "float32"),
        (np.full(GOOD.shape, np.nan), "not finite"),
        (GOOD[..., 0], "not uint8"),
        (list(GOOD), "list instead of an array"),
    ],
)
def test_bad_frames_are_refused(frames, reason):
    check_frames(GOOD, 29)
    with pytest.raises(GenerationError, match=reason):
        check_frames(frames, 29)


def test_bad_crops_are_refused():
    rng = np.random.default_rng(0)
    moving = rng.integers(0, 255, (29, 96, 96), np.uint8)
    fine = {"detector_score": 0.9, "interpolated_frames": 1}
    check_crops(moving, fine, 29, 0.95)
    for crops, quality, reason in (
        (moving, fine | {"interpolated_frames": 2}, "found in 93% of the frames"),
        (moving, fine | {"detector_score": float("nan")}, "not finite"),
        (moving[:28], fine, "not uint8"),
        (np.repeat(moving[:1], 29, 0), fine, "frozen"),
    ):
        with pytest.raises(GenerationError, match=reason):
            check_crops(crops, quality, 29, 0.95)
    frozen = np.repeat(moving[:1], 29, 0).astype(int) + rng.normal(0, 1, moving.shape)
    with pytest.raises(GenerationError, match="frozen"):  # noise is no motion
        check_crops(frozen.clip(0, 255).astype(np.uint8), fine, 29, 0.95)


def test_frames_from_a_file_must_have_the_right_rate():
    assert check_frames(Clip(GOOD, 25.0, None), 29) is GOOD
    with pytest.raises(GenerationError, match="30 frames a second instead of 25"):
        check_frames(Clip(GOOD, 30.0, None), 29)


def wandering(seed: int, n: int = 29, side: int = 96) -> np.ndarray:
    """Pictures (n, side, side, 3) of a blurred pattern on a random walk."""
    rng = np.random.default_rng(seed)
    pattern = cv2.GaussianBlur(rng.integers(0, 255, (side + 60,) * 2).astype(np.float32), (0, 0), 4)
    pattern = ((pattern - pattern.min()) * 255 / np.ptp(pattern)).astype(np.uint8)
    y, x = (30 + np.cumsum(rng.integers(-2, 3, (2, n)), 1)).clip(0, 59)
    pictures = [pattern[a : a + side, b : b + side] for a, b in zip(y, x, strict=True)]
    return np.repeat(np.stack(pictures)[..., None], 3, 3)


@pytest.mark.parametrize("source", [8, 12, 16])
def test_loops_of_the_head_are_found_whatever_the_mouth_does(source):
    mouths = wandering(7)[..., 0]
    there_and_back = np.r_[np.arange(source), np.arange(source)[::-1]]
    for seed in range(5):
        frames = wandering(seed)
        check_repeats(frames, mouths, 60)
        for order in (np.arange(29) % source, there_and_back[np.arange(29) % (2 * source)]):
            with pytest.raises(GenerationError, match="come again in the head"):
                check_repeats(frames[order], mouths, 60)


def test_loops_of_the_mouth_are_found_and_a_still_head_is_none():
    still, mouths = np.repeat(wandering(1)[:1], 29, 0), wandering(2)[..., 0]
    check_repeats(still, mouths, 60)
    with pytest.raises(GenerationError, match="come again in the mouth"):
        check_repeats(still, mouths[np.arange(29) % 10], 60)
    opens_and_closes = mouths[np.r_[np.arange(15), np.arange(14)[::-1]]]
    check_repeats(still, opens_and_closes, 60)  # as PAP or MOM does
    assert repeats(mouths, False) > 0.3 and repeats(mouths[:10], False) == np.inf


def test_a_picture_that_stops_while_the_sound_goes_on_is_found():
    speech = say("they said money today", Voice("gmw/en+m2")).sound[3000:21560]
    moving = wandering(3)[..., 0]
    check_stuck(moving, speech)
    stops = moving[np.minimum(np.arange(29), 14)]
    with pytest.raises(GenerationError, match="stands still for"):
        check_stuck(stops, speech)
    silence_at_the_end = np.where(np.arange(len(speech)) < 15 * 640, speech, 0).astype(np.int16)
    check_stuck(stops, silence_at_the_end)


def test_the_lists_of_generators_and_their_modules_agree():
    for name in GENERATORS:
        kind = generator_class(name)
        assert (kind.trained, kind.text_driven) == (name in TRAINED, name in TEXT_DRIVEN)
        assert not kind.__abstractmethods__  # else it could not be loaded
        assert hasattr(kind, "train") == (name in TRAINED)


def test_a_text_driven_set_and_a_word_without_pronunciation(corpus, tmp_path):
    words = {"MONEY": ["M", "AH", "N", "IY"]}
    synthesise(
        corpus, tmp_path / "crops", tmp_path / "records.parquet", generator="viseme",
        pronunciations=words,
    )  # fmt: skip
    records = pd.read_parquet(tmp_path / "records.parquet").set_index("source")
    assert set(records["generator"]) == {"viseme"}
    assert set(records["reason"]["train/MONEY_00000"]) == {"silent sound"}  # for every generator
    money = records[(records["label"] == "MONEY") & (records.index != "train/MONEY_00000")]
    assert len(money) and set(money["reason"]) == {""}
    unknown = records[(records["label"] == "PEOPLE") & (records.index != "train/PEOPLE_00000")]
    assert unknown["reason"].str.contains("no pronunciation of 'PEOPLE'").all() and len(unknown)
    assert len(open_crops(tmp_path / "crops")) == len(money)
    assert read_lag(tmp_path / "lag.json")["clips"] == len(money)


def test_a_trained_generator_needs_its_weights_and_they_are_recorded(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(portrait.PortraitGenerator, "trained", True)
    with pytest.raises(FileNotFoundError, match=r"no weights.safetensors .* train it first"):
        synthesise(corpus, tmp_path / "a", tmp_path / "records.parquet", trained_folder=tmp_path)
    prepare(tmp_path / "trained")
    (tmp_path / "trained" / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / "set" / "working-old").mkdir(parents=True)  # of a run that was killed
    synthesise(
        corpus, tmp_path / "a", tmp_path / "set" / "records.parquet",
        trained_folder=tmp_path / "trained",
    )  # fmt: skip
    records = pd.read_parquet(tmp_path / "set" / "records.parquet")
    assert set(records["weights_sha256"]) == {hashlib.sha256(b"weights").hexdigest()}
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == [
        "lag.json", "records.parquet", "seconds.csv",
    ]  # fmt: skip


def test_a_picture_lies_under_the_root_of_its_source(tmp_path, monkeypatch):
    asked = []

    class Asked(Generator):
        def prepare(self, picture):
            asked.append(picture)
            raise PictureError("no face found in the picture")

        def generate(self, *_):
            pytest.fail("there is no portrait")

    monkeypatch.setattr(build, "loaded_generator", lambda *_: Asked(tmp_path))
    roots = (tmp_path / "ffhq", tmp_path / "vggface")
    job = build.Job("portrait", tmp_path, tmp_path, {}, 0.95, roots)
    task = build.Task(
        "a", "ABOUT", "train/ABOUT_00001", "p", "p.png", "0", 0, "a.mp4", 29, "0", 0.4, 0.7,
        "portrait", "1",
    )  # fmt: skip
    for number in (0, 1):
        one = dataclasses.replace(task, picture_source=number)
        [(made, _)] = build.generate_group(job, [one])
        assert made.crops is None and made.reason.startswith("no face")
    assert asked == [root / "p.png" for root in roots]


def test_a_trained_generator_draws_clips_of_a_portrait_and_a_shard_together(
    corpus, tmp_path, monkeypatch
):
    batches, devices = [], []

    class Together(portrait.PortraitGenerator):
        __module__, trained = portrait.__name__, True

        def __init__(self, folder, device):
            devices.append(device)
            super().__init__(folder)

        def generate_batch(self, portrait, utterances, n_frames, seeds):
            batches.append(len(utterances))
            yield from super().generate_batch(portrait, utterances, n_frames, seeds)

    monkeypatch.setattr(portrait, "GENERATOR", Together)
    monkeypatch.setattr(build, "FRAMES_AT_ONCE", 87)  # three clips
    build.loaded_generator.cache_clear()
    trained = prepare(tmp_path / "trained").parent
    (trained / "weights.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(build, "processes_on", lambda device, processes: processes)
    synthesise(
        corpus, tmp_path / "crops", tmp_path / "records.parquet", trained_folder=trained,
        device="cuda",
    )  # fmt: skip
    build.loaded_generator.cache_clear()
    # ten clips of two portraits in shards of four, two of their sounds without use
    records = pd.read_parquet(tmp_path / "records.parquet")
    accepted, expected = (records["status"] == "accepted"), []
    for _, rows in records.groupby([records["portrait"], np.arange(10) // 4], sort=False):
        expected += [accepted[rows.index[at : at + 3]].sum() for at in range(0, len(rows), 3)]
    assert batches == [clips for clips in expected if clips] and max(batches) > 1
    assert devices == ["cuda"]
    with open_crops(tmp_path / "crops") as crops:
        assert crops.manifest["parameters"]["device"] == "cuda"
        assert len(crops) == accepted.sum() < 10
