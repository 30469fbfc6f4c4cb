import dataclasses
import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from visemix.clips.mixture import check_sources, make_mixture
from visemix.clips.shards import open_crops, read_rejects
from visemix.config.generator_names import GENERATORS
from visemix.corpora.lrw import scan
from visemix.corpora.miniature import make_corpus
from visemix.faces.crops import crop_set
from visemix.faces.pictures import read_picture
from visemix.generators.base import WEIGHTS, GenerationError, Generator, generator_class
from visemix.media import read_clip
from visemix.synthesis import evaluation_sets as module
from visemix.synthesis.build import loaded_generator
from visemix.synthesis.evaluation_sets import draw_clips, evaluation_set
from visemix.synthesis.pairing import LeakError

CROPS = {"eye_to_mouth": 80.0}
SILENT = "val/MONEY_00003"


@dataclasses.dataclass(frozen=True)
class Corpus:
    root: Path
    manifest: pd.DataFrame
    real: Path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    root = tmp_path_factory.mktemp("corpus")
    make_corpus(root, ["MONEY"], {"train": 1, "val": 3, "test": 1}, portraits=0, seed=3)
    manifest = scan(root, corpus="miniature", words=["MONEY"])
    crop_set(manifest, "val", root, root / "crops", CROPS)
    return Corpus(root, manifest, root / "crops")


def stand_in(corpus: Corpus) -> type[Generator]:
    """A generator that plays the real clip of the sound it hears, and gives up on one of them."""
    clips = [
        (row.clip_id, read_clip(corpus.root / row.media, sound=True))
        for row in corpus.manifest[corpus.manifest["split"] == "val"].itertuples()
    ]

    class StandIn(Generator):
        loaded: ClassVar[list[str]] = []  # devices

        def __init__(self, folder, device="cpu"):
            self.loaded.append(device)

        @classmethod
        def version(cls):
            return "1"

        def prepare(self, picture):
            return read_picture(picture)

        def generate(self, portrait, said, n_frames, seed):
            for clip_id, clip in clips:
                if np.array_equal(clip.sound, said.sound):
                    if clip_id == SILENT:
                        raise GenerationError("nothing is said")
                    assert said.label == "MONEY" and 0 < said.word_start_s < said.word_end_s
                    assert np.array_equal(portrait, clip.frames[0])
                    return clip.frames[:n_frames]
            raise AssertionError("a sound of another clip")

    return StandIn


@pytest.fixture
def make(corpus, monkeypatch, tmp_path):
    generator = SimpleNamespace(GENERATOR=stand_in(corpus))
    monkeypatch.setitem(GENERATORS, "stand-in", "stand_in")
    monkeypatch.setitem(sys.modules, "stand_in", generator)
    loaded_generator.cache_clear()

    def make(folder="made", **options):
        evaluation_set(
            "stand-in", options.pop("manifest", corpus.manifest), corpus.real, corpus.root,
            tmp_path / "model", tmp_path / folder, tmp_path / "seconds.csv", CROPS, **options,
        )  # fmt: skip
        return tmp_path / folder

    yield make
    loaded_generator.cache_clear()


def test_each_clip_is_made_from_its_own_first_frame_sound_and_label(corpus, make, tmp_path):
    folder = make()
    with open_crops(folder) as made, open_crops(corpus.real) as real:
        assert made.index["clip_id"].tolist() == ["val/MONEY_00001", "val/MONEY_00002"]
        # the real clip again, but that its luminance went through RGB
        difference = made.read([0, 1]).astype(int) - real.read([0, 1])
        assert np.abs(difference).mean() < 1.5
        for name in ("landmark_distance", "mouth_distance"):
            assert made.index[name].tolist() == [0, 0]
            assert (made.index[f"still_{name}"] > 0.1).all()
        assert made.index["speaker"].tolist() == real.index["speaker"].tolist()[:2]
    [reject] = read_rejects(folder).to_dict("records")
    assert (reject["clip_id"], reject["label"]) == (SILENT, "MONEY")
    assert (reject["reason"], reject["source"]) == ("nothing is said", SILENT)
    speakers = corpus.manifest.set_index("clip_id").speaker
    assert reject["speaker"] == speakers[SILENT] != ""
    columns = ["clip_id", "preparing", "generating", "device"]
    seconds = pd.read_csv(tmp_path / "seconds.csv", names=columns)
    assert set(seconds["device"]) == {"cpu"}
    assert seconds["clip_id"].tolist() == ["val/MONEY_00001", "val/MONEY_00002"]


def test_nothing_may_be_trained_on_it(corpus, make):
    folder = make()
    with pytest.raises(ValueError, match="is an evaluation set, with sounds of the val split"):
        make_mixture("x", corpus.real, folder, 1, 0)
    with pytest.raises(ValueError, match="nothing may be trained on it"):
        make_mixture("x", folder, None, float("inf"), 0)
    sources = [
        {"folder": str(folder), "repeats": 1, "manifest_sha256": hashlib.sha256(
            (folder / "manifest.json").read_bytes()).hexdigest()}
    ]  # fmt: skip
    with pytest.raises(ValueError, match="nothing may be trained on it"):
        check_sources({"name": "by hand", "sources": sources})


def test_another_run_makes_the_same_bytes_and_a_second_one_makes_nothing(make, tmp_path):
    one, two = make("one"), make("two", clips_per_shard=2048)
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()
    timed = (tmp_path / "seconds.csv").read_text()
    make("one")
    assert (tmp_path / "seconds.csv").read_text() == timed


def test_clips_are_drawn_by_seed_from_the_validation_split(corpus):
    assert len(draw_clips(corpus.manifest, corpus.real, None, 0)) == 3
    assert len(draw_clips(corpus.manifest, corpus.real, 99, 0)) == 3
    drawn = [tuple(draw_clips(corpus.manifest, corpus.real, 2, s)["clip_id"]) for s in range(8)]
    assert len(set(drawn)) > 1 and all(len(set(clips)) == 2 for clips in drawn)
    assert drawn[0] == tuple(draw_clips(corpus.manifest, corpus.real, 2, 0)["clip_id"])
    assert all(clip.startswith("val/") for clips in drawn for clip in clips)
    elsewhere = corpus.manifest[corpus.manifest["split"] != "val"]
    with pytest.raises(ValueError, match="no accepted clip of the validation split"):
        draw_clips(elsewhere, corpus.real, None, 0)


def test_a_speaker_of_the_training_split_is_refused(corpus, make):
    manifest = corpus.manifest.copy()
    manifest["speaker"] = "somebody"
    with pytest.raises(LeakError, match="somebody"):
        make(manifest=manifest)


def test_clips_that_cannot_be_compared_frame_by_frame_are_rejected(corpus, make):
    manifest = corpus.manifest.assign(fps=30.0)
    reasons = read_rejects(make(manifest=manifest))["reason"]
    assert reasons.tolist() == ["30 frames a second; 25 can be compared"] * 3


def test_a_trained_generator_is_timed_on_the_device_that_it_works_on(
    corpus, make, tmp_path, monkeypatch
):
    generator = generator_class("stand-in")
    generator.trained, loaded = True, generator.loaded
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / WEIGHTS).write_bytes(b"weights")
    monkeypatch.setattr(module, "device_model", lambda: "a GPU")
    monkeypatch.setattr(module, "processes_on", lambda device, processes: processes)
    folder = make(device="cuda")
    assert loaded == ["cuda"]
    seconds = [line.split(",") for line in (tmp_path / "seconds.csv").read_text().splitlines()]
    assert [line[0] for line in seconds] == ["val/MONEY_00001", "val/MONEY_00002"]
    assert {line[3] for line in seconds} == {"a GPU"}
    with open_crops(folder) as made:
        assert made.manifest["parameters"]["device"] == "cuda"
    loaded_generator.cache_clear()
    make(device="cpu")  # other bits: made again
    assert loaded == ["cuda", "cpu"]


def test_generators_of_other_kinds_say_on_what_they_work():
    for name, device, made_on in (
        ("portrait", "cuda", "cpu"), ("lam", "cpu", "cpu"),
        ("external-wav2lip", "cpu", "the device that its program takes"),
    ):  # fmt: skip
        assert module.made_on_device(generator_class(name), device) == made_on
