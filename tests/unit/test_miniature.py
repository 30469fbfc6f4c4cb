"""The embedded corpus: LRW's layout, exact truth, and the same bytes however it is made."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from visemix.corpora.lrw import scan
from visemix.corpora.miniature import CorpusError, make_corpus
from visemix.corpora.miniature.clip import frame_times
from visemix.corpora.miniature.sentences import (
    AFTER,
    BEFORE,
    CLIP_SECONDS,
    cut_sound,
    random_carrier,
    speak_word,
    word_span,
)
from visemix.faces.retinaface import RetinaFace
from visemix.heads.articulation import segments
from visemix.heads.model import load_head
from visemix.heads.speech import Span, SpeechError, Voice
from visemix.media import read_clip

WORDS = ["ABOUT", "FAMILY"]
COUNTS = {"train": 2, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    make_corpus(root, WORDS, COUNTS, portraits=2, seed=3, workers=1)
    return root


def all_bytes(root):
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def clips(root):
    return sorted((root / "lipread_mp4").glob("*/*/*.mp4"))


def truth_of(root, path):
    return np.load(root / "truth" / path.relative_to(root / "lipread_mp4").with_suffix(".npz"))


def test_form_of_the_clips(corpus):
    assert len(clips(corpus)) == len(WORDS) * sum(COUNTS.values())
    for path in clips(corpus):
        clip = read_clip(path, sound=True)
        assert clip.frames.shape == (29, 256, 256, 3) and clip.fps == 25
        assert len(clip.sound) == 18560 and np.abs(clip.sound.astype(int)).max() > 2000
        lines = path.with_suffix(".txt").read_text().splitlines()
        assert lines[4].startswith("Duration: ") and lines[4].endswith(" seconds")
        start, end = truth_of(corpus, path)["word_span"]
        assert float(lines[4].split()[1]) == pytest.approx(end - start, abs=0.006)
        assert (start + end) / 2 == pytest.approx(CLIP_SECONDS / 2)  # the word is in the middle
        assert 0.1 < end - start < CLIP_SECONDS


def test_the_lrw_reader_takes_every_clip(corpus):
    manifest = scan(corpus)
    assert len(manifest) == len(clips(corpus)) and (manifest.status == "ok").all()
    assert set(manifest.label.str.upper()) == set(WORDS)
    assert (manifest.speaker != "").all()


def test_nobody_is_in_two_splits_and_no_portrait_speaks(corpus):
    table = pd.read_csv(corpus / "speakers.csv")
    assert table.speaker.is_unique  # by default each clip has a speaker of its own
    assert set(table.clip_id.str.split("/").str[0]) == set(COUNTS)
    portraits = pd.read_csv(corpus / "portraits" / "portraits.csv")
    assert not set(portraits.speaker) & set(table.speaker)
    people = [tuple(np.load(p)["identity"]) for p in sorted((corpus / "truth").rglob("*.npz"))]
    assert len(people) == len(set(people)) == len(clips(corpus)) + 2


def test_one_face_in_every_picture_where_the_truth_says(corpus):
    detector = RetinaFace()
    for path in clips(corpus):
        faces = detector.detect(read_clip(path).frames)
        assert [len(f) for f in faces] == [1] * 29, path
        found = np.array([f[0].landmarks for f in faces])
        assert np.linalg.norm(found - truth_of(corpus, path)["five_points"], axis=-1).mean() < 4
    import cv2

    for path in sorted((corpus / "portraits").glob("*.png")):
        picture = cv2.imread(str(path))[..., ::-1]
        assert picture.shape == (256, 256, 3)
        assert len(detector.detect(picture[None])[0]) == 1
        pose = np.load(corpus / "truth" / "portraits" / f"{path.stem}.npz")["pose"]
        assert np.abs(pose).max() < 0.25


def test_truth_of_the_mouth_agrees_with_the_phonemes(corpus):
    head = load_head()
    for path in clips(corpus):
        truth = truth_of(corpus, path)
        assert truth["visemes"].shape == (29,) and truth["pose"].shape == (29, 3)
        phonemes = [
            Span(*times, text)
            for times, text in zip(truth["phoneme_times"], truth["phonemes"], strict=True)
        ]
        gaps = head.lip_gap(head.animate(head.mean, truth["weights"]))
        times = frame_times()
        for start, end, viseme in segments(phonemes):
            middle = np.abs(times - (start + end) / 2)
            if viseme == "PP" and middle.min() < 0.01:
                assert gaps[middle.argmin()] < 0.05
        assert gaps.max() > 0.08  # it does speak
        assert set(truth["visemes"]) - {"sil"}


def test_heads_move_slowly_and_differ(corpus):
    poses = np.array([truth_of(corpus, path)["pose"] for path in clips(corpus)])
    assert np.abs(np.diff(poses, axis=1)).max() < 0.05  # radians a frame
    assert np.ptp(poses, axis=1)[:, 0].min() > 0.005
    assert poses.mean(1)[:, 0].std() > 0.03


@pytest.mark.parametrize("workers", [2])
def test_bytes_do_not_depend_on_the_number_of_processes(corpus, tmp_path, workers):
    make_corpus(tmp_path, WORDS, COUNTS, portraits=2, seed=3, workers=workers)
    assert all_bytes(tmp_path) == all_bytes(corpus)


def test_a_clip_does_not_depend_on_the_others(corpus, tmp_path):
    """Made alone, after a crash that left half a file, it is the same clip."""
    make_corpus(tmp_path, ["family"], {"train": 1}, seed=3)
    name = "lipread_mp4/FAMILY/train/FAMILY_00001.mp4"
    assert (tmp_path / name).read_bytes() == (corpus / name).read_bytes()
    kept = tmp_path / "lipread_mp4/FAMILY/train/FAMILY_00001.txt"
    (tmp_path / name).unlink()
    kept.with_name(".FAMILY_00001.mp4.1.partial.mp4").write_bytes(b"half")
    (tmp_path / "portraits" / "own.png").write_bytes(b"a user's picture")
    make_corpus(tmp_path, ["family"], {"train": 1}, seed=3)
    assert (tmp_path / name).read_bytes() == (corpus / name).read_bytes()
    assert [p.name for p in kept.parent.iterdir() if p.name.startswith(".")] == []
    assert (tmp_path / "portraits" / "own.png").is_file()


def test_what_is_done_is_not_made_again_unless_it_is_another_corpus(tmp_path):
    make_corpus(tmp_path, ["family"], {"train": 1}, seed=1)
    (clip,) = clips(tmp_path)
    before = clip.stat().st_mtime_ns, clip.read_bytes()
    make_corpus(tmp_path, ["family"], {"train": 1}, seed=1)
    assert (clip.stat().st_mtime_ns, clip.read_bytes()) == before
    make_corpus(tmp_path, ["family"], {"train": 1}, seed=2)
    assert clip.read_bytes() != before[1]
    make_corpus(tmp_path, ["about"], {"train": 1}, seed=2)
    assert [p.name for p in clips(tmp_path)] == ["ABOUT_00001.mp4"]  # exactly what is asked for


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    theirs = tmp_path / "lipread_mp4" / "ABOUT" / "train" / "ABOUT_00001.mp4"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"precious")
    with pytest.raises(CorpusError, match="another folder"):
        make_corpus(tmp_path, ["about"], {"train": 1})
    assert theirs.read_bytes() == b"precious"


def test_failures_are_reported_by_clip_and_the_rest_is_made(tmp_path):
    with pytest.raises(CorpusError, match=r"train/NEW YORK_00001: SpeechError"):
        make_corpus(tmp_path, ["new york", "about"], {"train": 1})
    assert [p.name for p in clips(tmp_path)] == ["ABOUT_00001.mp4"]
    assert not (tmp_path / "corpus.json").exists()


@pytest.mark.parametrize(
    "words, counts", [(["about", "ABOUT"], {"train": 1}), (["about"], {"dev": 1})]
)
def test_wrong_plans_are_refused(tmp_path, words, counts):
    with pytest.raises(CorpusError):
        make_corpus(tmp_path, words, counts)


def test_speakers_can_be_shared_within_a_split(tmp_path):
    make_corpus(tmp_path, ["about"], {"train": 3}, speakers_per_split=1)
    assert pd.read_csv(tmp_path / "speakers.csv").speaker.nunique() == 1
    people = {tuple(np.load(p)["identity"]) for p in (tmp_path / "truth").rglob("*.npz")}
    assert len(people) == 1


def test_carriers_hold_no_word_of_lrw():
    lrw = set(files("visemix.corpora").joinpath("lrw_words.txt").read_text().lower().split())
    assert len(lrw) == 500
    for carrier in BEFORE + AFTER:
        assert not set(carrier.split()) & lrw, carrier
    rng = np.random.default_rng(0)
    drawn = {random_carrier(rng) for _ in range(400)}
    assert {b for b, _ in drawn} == set(BEFORE) and {a for _, a in drawn} == set(AFTER)


@pytest.mark.parametrize("word", ["thousands", "access", "about"])
def test_words_are_found_in_their_sentence(word):
    spoken = speak_word(word.upper(), Voice(), np.random.default_rng(0))
    assert word in spoken.text.split()
    assert spoken.word_start < CLIP_SECONDS / 2 < spoken.word_end
    assert len(spoken.sound) == 18560


@pytest.mark.parametrize("word", ["", "new york", "x9", "naïve", "don't"])
def test_what_is_no_english_word_is_refused(word):
    with pytest.raises(SpeechError, match="one English word"):
        speak_word(word, Voice(), np.random.default_rng(0))


def test_words_that_espeak_joins_are_refused():
    spans = [Span(0, 0.2, "we"), Span(0.2, 0.6, "talk of"), Span(0.6, 1, "them")]
    with pytest.raises(SpeechError, match=r"we \| talk of \| them"):
        word_span(spans, "we", "talk", "of them")
    with pytest.raises(SpeechError):
        word_span([Span(0, 1, "talk"), Span(1, 2, "them")], "we", "talk", "of them")
    assert word_span([Span(0, 1, "talk"), Span(1, 2, "of ")], "we", "talk", "of them") == (0, 1)


def test_sound_is_cut_with_silence_outside():
    sound = np.arange(1, 6, dtype=np.int16)
    assert cut_sound(sound, -2, 4).tolist() == [0, 0, 1, 2]
    assert cut_sound(sound, 3, 4).tolist() == [4, 5, 0, 0]
    assert cut_sound(sound, 9, 3).tolist() == [0, 0, 0]
