import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd
import pytest
from tests.helpers.misbehaving_generator import CORNER, SHADE
from tests.helpers.parameters import changed
from tests.helpers.stand_in_programs import FAKE_DETECTOR, repository, settings

from visemix.clips.shards import read_rejects
from visemix.config.external import settings_of
from visemix.config.generator_names import PROGRAMS
from visemix.config.parameters import ParameterError, resolve_parameters
from visemix.corpora.manifest import manifest_frame
from visemix.corpora.miniature import make_corpus
from visemix.generators.base import GenerationError, Utterance, generator_class
from visemix.generators.external import repairs, runner
from visemix.generators.external.description import Program
from visemix.generators.external.installation import InstallationError
from visemix.generators.external.program import Portrait, generator_of
from visemix.heads.speech import Voice, say
from visemix.media import read_sound, write_clip
from visemix.synthesis.build import synthesise_set
from visemix.synthesis.pairing import make_pairs

N_FRAMES = 29
WRITING = Lock()  # threads of a test share the folder


def generator(name):
    return generator_class(f"external-{name}")


def with_settings(about: Program, settings: dict, folder: Path):
    """The generator of a program, as if `configure` had found these settings to be right."""
    with WRITING:
        (folder / "external.json").write_text(json.dumps({"settings": settings}))
        return generator_of(about, __name__)(folder)


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> list[str]:
    """A Python that has PyAV, NumPy and YAML, and not the project's other libraries."""
    lean = tmp_path_factory.mktemp("lean")
    site = Path(find_spec("av").origin).parents[1]
    for name in ("av", "av.libs", "numpy", "numpy.libs", "yaml"):
        if (site / name).exists():
            (lean / name).symlink_to(site / name)
    return ["env", f"PYTHONPATH={lean}", sys.executable, "-S"]


@pytest.fixture
def wav2lip(tmp_path, python):
    """make(how, **settings): a clip by a Wav2Lip that goes wrong in that way."""

    def make(how="well", sound=None, colour=120, seed=1, about=None, **changes):
        folder = tmp_path / f"wav2lip-{how.partition(':')[0]}"
        if not folder.exists():
            repository(folder, "wav2lip", how)
        about = about or generator("wav2lip").program
        made = with_settings(about, settings(folder, python, **changes), tmp_path)
        portrait = Portrait(np.full((128, 128, 3), colour, np.uint8), "picture.png")
        sound = speech() if sound is None else sound
        return made.generate(portrait, said(sound), N_FRAMES, seed)

    make.folder = tmp_path
    return make


def speech(loudness: int = 9000) -> np.ndarray:
    """Something like speech, 1.16 s: tone in syllables, with exact silence between."""
    t = np.arange(N_FRAMES * 640) / 16000
    return (loudness * np.sin(900 * t) * (np.sin(20 * t) > 0)).astype(np.int16)


def said(sound: np.ndarray) -> Utterance:
    return Utterance(sound, "MONEY", 0.3, 0.8)


def numbers(frames: np.ndarray) -> list[int]:
    """The frame numbers that the stand-in wrote into the corner."""
    return np.rint(frames[:, 4 : CORNER - 4, 4 : CORNER - 4].mean((1, 2, 3)) / SHADE).tolist()


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("working-")]


EVERY_6TH_LEFT_OUT = [int((t + 0.5) * 1.2) for t in range(N_FRAMES)]


@pytest.mark.parametrize(
    ("name", "count"), [*((name, N_FRAMES) for name in PROGRAMS), ("latentsync", 26)]
)
def test_every_program_gives_all_frames_at_25_fps(name, count, tmp_path, python):
    folder = tmp_path / "set.v1" / "program"  # a dot in a folder's name is what Wav2Lip trips over
    repository(folder, name)
    kind = generator(name)
    kind.configure(settings(folder, python), tmp_path)
    side = kind.program.picture_side
    portrait = Portrait(np.full((side, side, 3), 100, np.uint8), "picture.png")
    frames = kind(tmp_path).generate(portrait, said(speech()), count, 3_000_000_000)
    assert frames.shape == (count, side, side, 3) and frames.dtype == np.uint8
    expected = {
        "aniportrait": EVERY_6TH_LEFT_OUT,
        "echomimic": [int((t + 0.5) * 0.96) for t in range(N_FRAMES)],
    }.get(name, list(range(count)))
    assert numbers(frames) == expected
    record = json.loads((tmp_path / "external.json").read_text())
    assert record["licence"] and set(record["found"]["weights"]) == set(kind.program.weights)
    run = json.loads((tmp_path / "external-runs.jsonl").read_text())
    assert run["problem"] == "" and run["seed"] == 3_000_000_000
    assert not leftovers(tmp_path) and kind.version().count("-") == 1


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("well", list(range(N_FRAMES))),
        ("thirty", EVERY_6TH_LEFT_OUT),
        ("slow", [int((t + 0.5) / 2) for t in range(N_FRAMES)]),
        ("chatter", list(range(N_FRAMES))),
        ("crash-on-zeros", list(range(N_FRAMES))),
    ],
)
def test_what_can_be_repaired_is(how, expected, wav2lip):
    assert numbers(wav2lip(how)) == expected


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("no-output", "wav2lip: ended with status 0, but made no output; stdout: face not found"),
        ("short", r"too short: 15 frames at 25 fps, 29 at 25 fps need 29"),
        ("two", r"made 2 new files \(visemix_job/out/again.mp4, visemix_job/out/clip.mp4\)"),
        ("truncated", r"unusable output: visemix_job/out/clip.mp4: not a readable media file"),
        ("status", "ended with status 3"),
        ("crash-if-loud", "ended with status 1; stderr: .*MemoryError: too loud"),
    ],
)
def test_what_cannot_is_a_reason(how, reason, wav2lip):
    with pytest.raises(GenerationError, match=reason) as error:
        wav2lip(how, sound=speech(25_000))
    assert str(wav2lip.folder) not in str(error.value) and len(str(error.value)) < 2000
    assert not leftovers(wav2lip.folder)


def test_without_the_dither_silence_would_crash_it(wav2lip, monkeypatch):
    monkeypatch.setattr(repairs, "padded_sound", lambda sound, n, seed: np.pad(sound, (0, 3200)))
    with pytest.raises(GenerationError, match="Mel contains nan"):
        wav2lip("crash-on-zeros")


def test_without_the_padding_the_end_of_the_word_would_be_lost(wav2lip):
    with pytest.raises(GenerationError, match="too short: 26 frames"):
        wav2lip(about=replace(generator("wav2lip").program, tail=0))


@pytest.mark.parametrize("how", ["hang", "hang-on"])
def test_a_program_that_hangs_is_ended(how, wav2lip, monkeypatch):
    monkeypatch.setattr(runner, "GRACE", 0.5)
    with pytest.raises(GenerationError, match="not finished after 1 s"):
        wav2lip(how, timeout_seconds=1)


def test_a_program_that_prints_without_end_is_ended(wav2lip, monkeypatch):
    monkeypatch.setattr(runner, "MAX_LOG", 2_000_000)
    with pytest.raises(GenerationError, match="printed more than 2 MB") as error:
        wav2lip("endless")
    assert len(str(error.value)) < 2000


def test_what_it_leaves_running_is_killed(wav2lip):
    folder = repository(wav2lip.folder / "wav2lip-grandchild", "wav2lip", "grandchild")
    pid = folder / "child.pid"
    pid.touch()  # linked into the working copy, so that it is written here
    assert numbers(wav2lip("grandchild")) == list(range(N_FRAMES))
    assert gone(int(pid.read_text()))


def test_it_dies_with_the_process_that_started_it(tmp_path):
    pid = tmp_path / "pid"
    (tmp_path / runner.JOB).mkdir()
    hang = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    ours = (
        "from pathlib import Path; from visemix.generators.external.runner import run\n"
        f"run([{sys.executable!r}, '-S', '-c', {hang!r}], Path({str(tmp_path)!r}), 600)"
    )
    process = subprocess.Popen([sys.executable, "-c", ours])
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert gone(int(pid.read_text()))


def gone(pid: int) -> bool:
    """Whether a process ends, or is a zombie of somebody else's, within the patience of a test."""
    for _ in range(1200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_fixed_names_of_scratch_files_do_not_mix(wav2lip):
    colours = (40, 90, 140, 190)
    repository(wav2lip.folder / "wav2lip-fixed-scratch", "wav2lip", "fixed-scratch")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda c: wav2lip("fixed-scratch", colour=c, jobs=4), colours))
    for colour, frames in zip(colours, made, strict=True):
        assert abs(float(frames[:, 30:60].mean()) - colour) < 3
    assert not list((wav2lip.folder / "wav2lip-fixed-scratch").glob("temp/*"))


def test_no_more_runs_at_a_time_than_allowed(wav2lip):
    how = f"exclusive:{wav2lip.folder / 'busy'}"
    repository(wav2lip.folder / "wav2lip-exclusive", "wav2lip", how)
    with ThreadPoolExecutor(3) as pool:  # a second one beside it would fail
        made = list(pool.map(lambda _: wav2lip(how, jobs=1), range(3)))
    assert [len(frames) for frames in made] == [N_FRAMES] * 3


def test_an_output_of_an_earlier_run_is_not_taken(wav2lip):
    folder = repository(wav2lip.folder / "wav2lip-no-output", "wav2lip", "no-output")
    (folder / "archive").mkdir()  # not known as a folder that it writes to: a link
    write_clip(folder / "archive" / "old.mp4", np.zeros((40, 64, 64, 3), np.uint8), speech())
    about = replace(generator("wav2lip").program, output="archive/*.mp4")
    with pytest.raises(GenerationError, match="made no output"):
        wav2lip("no-output", about=about)


def test_a_strip_of_another_size_is_refused(wav2lip):
    three = replace(generator("wav2lip").program, panels=3, picture_side=128)
    with pytest.raises(GenerationError, match=r"128x128, not a strip of 3 .* \(392x132\)"):
        wav2lip(about=three)
    frames = wav2lip("panels", about=three)
    assert frames.shape[1:] == (128, 128, 3) and numbers(frames) == list(range(N_FRAMES))


def test_talklip_stops_where_it_would_draw_anywhere(tmp_path, python):
    folder = repository(tmp_path / "talklip", "talklip")
    (folder / "face_detection/__init__.py").write_text(f"FOUND = None{FAKE_DETECTOR}")
    model = with_settings(generator("talklip").program, settings(folder, python), tmp_path)
    portrait = Portrait(np.full((256, 256, 3), 100, np.uint8), "picture.png")
    with pytest.raises(GenerationError, match="no face found by the program's own detector"):
        model.generate(portrait, said(speech()), N_FRAMES, 1)


def test_everything_random_is_seeded(tmp_path, python):
    (tmp_path / runner.JOB).mkdir()
    show = "import random, sys, numpy; print(random.random(), numpy.random.random(), sys.argv)"
    (tmp_path / "show.py").write_text(show)
    printed = []
    for seed, start in ((1, ["show.py"]), (1, ["-m", "show"]), (2, ["show.py"])):
        launch = str(Path(runner.__file__).with_name("launch.py"))
        runner.run([*python, launch, str(seed), "-", *start, "--face", "x"], tmp_path, 600)
        printed.append((tmp_path / runner.JOB / "stdout.txt").read_text())
    assert printed[0].split()[:2] == printed[1].split()[:2] != printed[2].split()[:2]
    assert all(text.endswith("show.py', '--face', 'x']\n") for text in printed)


def test_all_that_is_missing_is_said_at_once(tmp_path, python):
    with pytest.raises(InstallationError) as error:
        generator("wav2lip").configure(settings(tmp_path / "no", ["/no/python"]), tmp_path)
    for part in (
        "git clone https://github.com/Rudrabha/Wav2Lip, check out 5c90fa9",
        "no program /no/python; it needs: Python 3.6",
        "Licence: no licence file; README: personal, research",
    ):
        assert part in str(error.value)
    folder = repository(tmp_path / "wav2lip", "wav2lip")
    (folder / "checkpoints/wav2lip.pth").unlink()
    wrong = settings(folder, python) | {"weights": {}}
    with pytest.raises(InstallationError) as error:
        generator("wav2lip").configure(wrong, tmp_path)
    place = folder / "checkpoints/wav2lip.pth"
    assert "checkpoints/wav2lip.pth: missing; get it from the links" in str(error.value)
    assert f"and put it at {place}" in str(error.value)
    assert re.search("s3fd.pth: sha256 is [0-9a-f]{64}, not 619a316812;", str(error.value))
    with pytest.raises(InstallationError, match="does not start Python: status 1"):
        generator("wav2lip").configure(settings(folder, ["false"]), tmp_path)


def test_other_weights_or_another_commit_is_another_version(tmp_path, python):
    folder = repository(tmp_path / "wav2lip", "wav2lip")
    versions = []

    def version():
        generator("wav2lip").configure(settings(folder, python), tmp_path)
        versions.append(generator("wav2lip").version())

    version()
    version()
    (folder / "checkpoints/wav2lip.pth").write_text("trained longer")
    version()
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)
    version()
    (folder / "inference.py").write_text("# changed by hand\n")
    version()
    assert versions[0] == versions[1] and len(set(versions)) == 4
    with pytest.raises(FileNotFoundError, match="configure writes it"):
        generator("wav2lip").build(tmp_path / "elsewhere")


def test_a_container_gets_both_folders(tmp_path):
    words = ["podman", "-v", "{repository}:{repository}", "-w", "{work}", "image", "python"]
    from visemix.generators.external.installation import words as command

    made = command({"repository": str(tmp_path), "python": words}, Path("/work"))
    assert made == ["podman", "-v", f"{tmp_path}:{tmp_path}", "-w", "/work", "image", "python"]


@pytest.mark.parametrize(
    ("external", "message"),
    [
        ({"wav2lop": {}}, r"external.wav2lop.*'aniportrait', 'wav2lip'"),
        ({"wav2lip": {"python": "x"}}, r"external.wav2lip.repository: missing"),
        ({"wav2lip": {"repository": "a", "python": []}}, r"external.wav2lip.python"),
        (
            {"wav2lip": {"repository": "a", "python": "b", "wieghts": {}}},
            r"external.wav2lip.wieghts: unknown key; did you mean 'weights'",
        ),
        (
            {"wav2lip": {"repository": "a", "python": "b", "weights": {"x": "12"}}},
            r"external.wav2lip.weights.x.*'12' is not allowed",
        ),
    ],
)
def test_settings_are_checked(external, message):
    with pytest.raises(ParameterError, match=message):
        resolve_parameters(changed(external=external))


def test_the_generator_of_a_run_must_be_set_up():
    chosen = {"synthesis": {"generator": "external-wav2lip-gan"}}
    with pytest.raises(ParameterError, match=r"external.wav2lip-gan is missing; give it repo"):
        resolve_parameters(changed(overrides=chosen))
    for key, section, name in (
        ("generators.compared", "generators", "compared"), ("beta.generators", "beta", "generators")
    ):  # fmt: skip
        asked = {section: {name: ["portrait", "external-talklip"]}}
        wrong = f"^{key} names external-talklip, but external.talklip is missing; give it repo"
        with pytest.raises(ParameterError, match=wrong):
            resolve_parameters(changed(overrides=asked))
    given = {"wav2lip-gan": {"repository": "a", "python": ["podman", "run", "x", "python"]}}
    parameters = resolve_parameters(changed(external=given, overrides=chosen))
    found = settings_of("external-wav2lip-gan", parameters["external"])
    assert (found["weights"], found["jobs"]) == ({}, 1)
    assert settings_of("portrait", parameters["external"]) is None
    with pytest.raises(ValueError, match=r"external.talklip is missing"):
        settings_of("external-talklip", parameters["external"])


def test_a_set_survives_a_program_that_fails_for_some(tmp_path, python):
    """Through the whole contract: real faces, crops, records, and reasons for the loud half."""
    root, rows, grey = tmp_path / "corpus", [], np.full((29, 32, 32, 3), 120, np.uint8)
    for number in range(4):
        sound = say("they said money today", Voice("gmw/en", 150 + 6 * number)).sound
        sound = np.resize(sound, 18560) // (1 + np.abs(sound).max() // 12_000)
        if number % 2:
            sound = np.clip(sound.astype(int) * 4, -30_000, 30_000).astype(np.int16)
        media = f"lipread_mp4/MONEY/train/MONEY_{number:05d}.mp4"
        (root / media).parent.mkdir(parents=True, exist_ok=True)
        write_clip(root / media, grey, sound)
        digest = hashlib.sha256((root / media).read_bytes()).hexdigest()
        times = (29, 25.0, 0.3, 0.8, f"speaker-{number}", digest, "ok", "")
        rows.append((f"train/MONEY_{number:05d}", "miniature", "train", "MONEY", media, *times))
    make_corpus(tmp_path / "faces", ["MONEY"], dict(train=0, val=0, test=0), portraits=1, seed=3)
    portraits, manifest = tmp_path / "faces" / "portraits", manifest_frame(rows)
    pairs, _ = make_pairs(manifest, portraits, clips_per_portrait=4)
    folder = repository(tmp_path / "wav2lip", "wav2lip", "crash-if-loud")
    generator("wav2lip").configure(settings(folder, python), tmp_path / "records")
    synthesise_set(
        "external-wav2lip", pairs, manifest, root, portraits, tmp_path / "crops",
        tmp_path / "records" / "records.parquet",
    )  # fmt: skip
    records = pd.read_parquet(tmp_path / "records" / "records.parquet")
    loud = [np.abs(read_sound(root / f"lipread_mp4/MONEY/{s}.mp4")).max() > 20_000
            for s in records["source"]]  # fmt: skip
    assert sorted(loud) == [False, False, True, True]
    assert (records["status"] == np.where(loud, "rejected", "accepted")).all(), records["reason"]
    assert records["reason"][loud].str.contains("MemoryError: too loud").all()
    assert records["version"].eq(generator("wav2lip").version()).all()
    assert len(read_rejects(tmp_path / "crops")) == 2
    assert os.environ.get("HF_HUB_OFFLINE") is None  # set for the programs, not for us
