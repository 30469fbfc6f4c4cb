"""What the training of LAM promises: it learns, and each term has its part."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.helpers.toy_speech import ToySpeech

from visemix.config import generators as sections
from visemix.config.model import Recogniser
from visemix.config.parameters import resolve_parameters
from visemix.faces.pictures import PictureError
from visemix.generators.base import Utterance
from visemix.generators.crop_space import CropPortrait
from visemix.generators.lam import LamGenerator, losses
from visemix.generators.lam.losses import CONFIGURATIONS, MOVEMENTS, LipReaderLoss
from visemix.generators.lam.step import (
    generator_losses,
    loss_weights,
    make_optimisers,
    read_batch,
    update,
)
from visemix.generators.lam.training import make_networks, train
from visemix.generators.lam.weights import load_weights
from visemix.generators.measures import MAX_LAG, measure, movement_correlation
from visemix.generators.speech_windows import spectra_of
from visemix.models.word_recogniser import WordRecogniser
from visemix.training.checkpoints import FILE_NAME
from visemix.training.recogniser import write_recogniser

SETTINGS = dict(
    channels=(12, 8), image_code=4, speech_code=12, rotation_code=2, speech_channels=12,
    speech_layers=1, discriminator_channels=2, steps=120, batch_size=8, frames=75, sampled_frames=2,
    learning_rate=1e-2, sequence_learning_rate=1e-3, beta1=0.9, speech_steps=20, drawn_frames=4,
    adversarial_start=116, validate_every=60, validation_clips=4, checkpoint_seconds=1000.0,
    threads=1,
)  # fmt: skip
CPU = torch.device("cpu")


def run(folder: Path, seed: int = 0, vsr_run_folder=None, **changes) -> dict:
    settings = {**SETTINGS, **changes}
    return train(ToySpeech(40), ToySpeech(6, seed=1), settings, folder, seed, "cpu", vsr_run_folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lam") / "finished"
    return folder, run(folder)


def lip_reader(folder: Path) -> Path:
    """A run folder with an untrained recogniser."""
    config = Recogniser(
        n_words=3, input_size=32, width=2, temporal_shift=[0.0] * 4, blocks=1, layers=1,
        dilations=[1], growth=6, reduced=4,
    )  # fmt: skip
    torch.manual_seed(0)
    reader = WordRecogniser(config)
    words = ["ABOUT", "BLACK", "CHILD"]
    write_recogniser(folder, reader.state_dict(), config, words)
    return folder


def read(data, training: sections.Lam, seed: int, step: int, rotations=None) -> dict:
    return read_batch(data, spectra_of(data), training, seed, step, CPU, rotations)


def section(**changes) -> sections.Lam:
    values = SETTINGS | changes
    return sections.Lam(**{name: value for name, value in values.items() if name != "threads"})


def parts(**changes):
    """Networks, optimisers, a batch and settings of one step."""
    settings = SETTINGS | {"drawn_frames": None, "adversarial_start": 0}
    settings = section(**settings | changes)
    torch.manual_seed(0)
    networks = make_networks(settings)
    training = settings.model_copy(update={"speech_steps": changes.get("speech_steps", 0)})
    batch = read(ToySpeech(40), training, 0, 0)
    return networks, make_optimisers(networks, training), batch, training


def test_it_learns_to_open_the_mouth_with_the_sound(finished):
    _, summary = finished
    before, after = summary["before"], summary["after"]
    assert before["n"] == after["n"] == 4
    assert before["psnr"] == pytest.approx(before["still_psnr"])
    assert before["movement"] == 0
    # Mean, sd, min of seeds 0 to 7: gain 9.7, 1.8, 6.4 dB; movement 0.97, 0.01, 0.94, and 0.26,
    # 0.01, 0.25 more than with the sound of others, who open as well.
    assert after["psnr"] > before["psnr"] + 3
    assert after["movement"] > 0.7
    assert after["movement"] > after["movement_other_sound"] + 0.1
    assert after["still_psnr"] == before["still_psnr"]


def test_the_folder_holds_what_identifies_the_training(finished):
    folder, summary = finished
    assert json.loads((folder / "generator.json").read_text()) == json.loads(json.dumps(summary))
    history = pd.read_csv(folder / "history.csv")
    assert history["step"].tolist() == [60, 120]
    assert history["speech"].iloc[0] > 0
    assert history["speech"].iloc[1] == 0
    assert history["image"].iloc[0] == 0
    assert history["image"].iloc[1] > 0
    assert history["discriminator_sequence"].iloc[1] > 0
    assert set(summary["digests"]) == {
        "data_crops_manifest", "held_out_crops_manifest", "weights", "code"
    }  # fmt: skip
    assert set(summary["parameters"]) == {"generator", "image", "sequence", "movement"}
    assert not (folder.with_name("finished.resume") / FILE_NAME).exists()


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_each_configuration_has_its_terms(configuration, tmp_path):
    networks, _, batch, training = parts()
    vsr = None if configuration == "baseline" else LipReaderLoss(lip_reader(tmp_path))
    made = networks["generator"](batch["real"][:, 0], batch["speech"])
    terms = generator_losses(networks, batch, made, vsr=vsr)
    weights = loss_weights(training, configuration)
    counted = {name for name in terms if weights[name] > 0}
    expected = {"reconstruction", "image", "sequence"}
    expected |= {"visual"} if "V" in configuration else set()
    expected |= {"logits"} if "L" in configuration else set()
    assert counted == expected
    assert weights["reconstruction"] == 300
    assert (weights["image"], weights["sequence"]) == (1, 0.2)
    assert weights["visual"] in (0, 250)
    assert weights["logits"] in (0, 10)


def test_the_lip_reader_judges_and_stays_as_it_is(tmp_path):
    networks, optimisers, batch, training = parts()
    vsr = LipReaderLoss(lip_reader(tmp_path)).train()
    before = {name: value.clone() for name, value in vsr.state_dict().items()}
    clips = batch["real"]
    same = vsr(clips, clips.clone())
    assert same["visual"] == 0
    assert same["logits"].item() == pytest.approx(0, abs=1e-6)
    made = clips.flip(1).requires_grad_()
    other = vsr(clips, made)
    assert other["visual"] > 0
    assert other["logits"] > 0
    for name in other:
        (gradient,) = torch.autograd.grad(other[name], made, retain_graph=True)
        assert gradient.abs().sum() > 0
    update(networks, optimisers, batch, training, 0, loss_weights(training, "VL"), vsr)
    after = vsr.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(value.grad is None for value in vsr.parameters())


def test_a_step_moves_every_network_and_none_before_its_time():
    networks, optimisers, batch, training = parts()

    def moved(step: int, **changes) -> dict[str, bool]:
        before = {name: value.clone() for name, value in networks.state_dict().items()}
        changed = training.model_copy(update=changes)
        update(networks, optimisers, batch, changed, step, loss_weights(training))
        after = networks.state_dict()
        return {
            name: any(not torch.equal(before[key], after[key]) for key in before
                      if key.startswith(name))
            for name in networks
        }  # fmt: skip

    nothing = dict.fromkeys(networks, False)
    assert moved(0, adversarial_start=1) == nothing | {"generator": True}
    both = {"generator": True, "image": True, "sequence": True}
    assert moved(1, adversarial_start=1) == nothing | both


def test_the_speech_encoder_learns_alone_first_how_mouths_move():
    networks, optimisers, batch, training = parts(speech_steps=30, learning_rate=1e-2)
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    weights = loss_weights(training)
    values = [update(networks, optimisers, batch, training, step, weights) for step in range(30)]
    after = networks.state_dict()
    moved = {
        name.rsplit(".", 2)[0] for name in before if not torch.equal(before[name], after[name])
    }
    assert all(name.startswith(("movement", "generator.speech_encoder")) for name in moved)
    assert [set(value) for value in values] == [{"speech"}] * 30
    assert values[-1]["speech"] < 0.5 * values[0]["speech"]  # eight initial weights: at most 0.02


def test_movement_is_predicted_whatever_the_speaker_looks_like_and_a_still_has_none():
    clips = torch.from_numpy(ToySpeech(2).crops([0, 1])).float() / 255
    dark = clips * 0.5 + torch.rand(2, 1, 96, 96)
    movement = torch.zeros(2, 8, MOVEMENTS)
    assert losses.movement_loss(clips, movement).item() == pytest.approx(1, abs=0.01)
    assert losses.movement_loss(dark, movement).item() == pytest.approx(1, abs=0.01)
    assert losses.movement_loss(clips[:, :1].expand(-1, 8, -1, -1), movement) == 0
    loud = clips[:, :, 48, 48, None].expand(-1, -1, MOVEMENTS)  # every square opens as one
    told = (loud - loud.mean(1, True)) / (loud - loud.mean(1, True)).std()
    assert losses.movement_loss(clips, told + 3).item() == pytest.approx(0, abs=1e-6)
    assert losses.movement_loss(dark, told + 3).item() == pytest.approx(0, abs=1e-3)


def test_before_the_discriminators_join_only_the_drawn_frames_count():
    networks, optimisers, batch, training = parts(drawn_frames=2, adversarial_start=1)
    assert batch["drawn"].shape == (8, 2)
    assert all(len(set(row)) == 2 for row in batch["drawn"].tolist())
    still = batch["real"][:, :1]  # what an untrained network makes
    chosen = torch.stack([clip[row] for clip, row in
                          zip(batch["real"], batch["drawn"], strict=True)])  # fmt: skip
    terms = update(networks, optimisers, batch, training, 0, loss_weights(training))
    torch.testing.assert_close(terms["reconstruction"], (chosen - still).abs().mean())
    assert set(terms) == {"total", "reconstruction"}
    networks, optimisers, batch, training = parts(drawn_frames=2, adversarial_start=1)
    terms = update(networks, optimisers, batch, training, 1, loss_weights(training))
    torch.testing.assert_close(terms["reconstruction"], (batch["real"] - still).abs().mean())
    assert {"image", "sequence"} < set(terms)


def test_discriminators_learn_at_their_own_rates_and_the_cosine_ends_at_zero():
    networks, optimisers, batch, training = parts(cosine=True)
    update(networks, optimisers, batch, training, 0, loss_weights(training))
    rates = {name: optimiser.param_groups[0]["lr"] for name, optimiser in optimisers.items()}
    assert rates == {"generator": 1e-2, "image": 1e-2, "movement": 1e-2, "sequence": 1e-3}
    update(networks, optimisers, batch, training, training.steps, loss_weights(training))
    assert all(optimiser.param_groups[0]["lr"] == 0 for optimiser in optimisers.values())


def test_a_batch_is_a_stretch_of_each_clip_with_the_sound_around_it():
    data, training = ToySpeech(40), section(frames=7)
    batch = read(data, training, 3, 1)
    again = read(data, training, 3, 1)
    assert all(torch.equal(batch[name], again[name]) for name in ("real", "speech", "sampled"))
    assert batch["real"].shape == (8, 7, 96, 96)
    assert batch["speech"].shape == (8, 7, 80, 16)
    assert batch["sampled"].shape == (8, 2)
    assert batch["rotations"] is None
    whole = read(data, section(), 3, 1)
    assert whole["real"].shape == (8, 8, 96, 96)
    starts = [
        next(s for s in (0, 1) if torch.equal(part, clip[s : s + 7]))
        for part, clip in zip(batch["speech"], whole["speech"], strict=True)
    ]
    assert set(starts) == {0, 1}
    for part, clip, start in zip(batch["real"], whole["real"], starts, strict=True):
        assert torch.equal(part, clip[start : start + 7])


def test_rotations_are_relative_to_the_frame_that_drives():
    data, training = ToySpeech(40), section(frames=7)
    angle = np.linspace(0, 1, 8)
    about = np.zeros((40, 8, 3, 3))
    about[:, :, 2, 2] = 1
    about[..., 0, 0] = about[..., 1, 1] = np.cos(angle)
    about[..., 0, 1], about[..., 1, 0] = -np.sin(angle), np.sin(angle)
    turned = read(data, training, 3, 1, about)["rotations"]
    assert turned.shape == (8, 7, 3, 3)
    # evenly turned, so that the same is true wherever the stretch starts
    expected = torch.from_numpy(about[0, :7]).float().expand(8, -1, -1, -1)
    torch.testing.assert_close(turned, expected)


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"channel\n.*Extra inputs are not permitted"):
        run(tmp_path, channel=3)
    with pytest.raises(ValueError, match="baseline takes none"):
        run(tmp_path, configuration="VL")
    with pytest.raises(ValueError, match="baseline takes none"):
        run(tmp_path, vsr_run_folder=tmp_path)
    with pytest.raises(ValueError, match="must be one of baseline, V, L, VL"):
        run(tmp_path, configuration="X")
    with pytest.raises(FileNotFoundError, match="train this run first"):
        run(tmp_path, configuration="L", vsr_run_folder=tmp_path)


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        run(tmp_path / "run", learning_rate=1e30, steps=4)


def test_movement_is_found_where_it_is_and_late_where_it_is_late():
    real = ToySpeech(1, frames=20).crops([0])[0]
    same = movement_correlation(real, real)
    assert same.argmax() == MAX_LAG
    assert same.max() == pytest.approx(1)
    late = np.concatenate([real[:1], real[:1], real[:-2]])
    assert movement_correlation(real, late).argmax() == MAX_LAG + 2
    assert movement_correlation(late, real).argmax() == MAX_LAG - 2
    assert not movement_correlation(real, np.repeat(real[:1], 20, 0)).any()
    assert movement_correlation(real, 255 - real)[MAX_LAG] == pytest.approx(-1)


def test_perfect_clips_measure_as_perfect():
    held_out = ToySpeech(5, frames=8)
    by_sound = {sound.tobytes(): crops for sound, crops in
                zip(held_out.sounds(range(5)), held_out.crops(range(5)), strict=True)}  # fmt: skip

    def make(first, sounds):
        return np.stack([by_sound[sound.tobytes()] for sound in sounds])

    values = measure(make, held_out, 100, batch_size=2)
    assert values["n"] == 5
    assert values["ssim"] == pytest.approx(1, abs=1e-3)  # flat pictures: little variance
    assert values["psnr"] > 100
    assert values["movement"] == pytest.approx(1)
    assert values["in_sync"] == 1
    assert values["gain_low"] < values["gain"] < values["gain_high"]
    assert values["gain"] == pytest.approx(1 - values["movement_other_sound"])
    assert values["motion"] == values["real_motion"] > 0
    with pytest.raises(ValueError, match="two are needed"):
        measure(make, held_out, 1)
    assert values["movement_other_sound"] < 0.9


def test_it_speaks_as_a_generator_of_the_contract(finished, tmp_path):
    folder, _ = finished
    model = LamGenerator(folder)
    assert model.eye_to_mouth == 64
    with pytest.raises(PictureError):
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no picture")
        model.prepare(broken)
    clip = ToySpeech(1, frames=9)
    still, sound = clip.crops([0])[0, 0], clip.sounds([0])[0]
    portrait = CropPortrait(np.repeat(still[..., None], 3, 2), still, np.eye(2, 3))
    for n_frames in (1, 7, 9, 12):
        said = Utterance(sound, "ABOUT", 0.0, 0.1)
        frames = model.generate(portrait, said, n_frames, seed=0)
        assert frames.shape == (n_frames, 96, 96, 3)
        assert frames.dtype == np.uint8
        assert np.array_equal(frames, model.generate(portrait, said, n_frames, seed=0))
    assert frames[..., 40:56, 40:56, :].std(0).max() > 5  # the mouth moves
    with pytest.raises(FileNotFoundError, match="train it first"):
        load_weights(tmp_path)


@pytest.mark.parametrize("scale", ["test", "miniature", "study", "paper"])
def test_the_settings_of_every_scale_fit(scale):
    import yaml

    path = Path(__file__).parents[2] / "params.yaml"
    parameters = resolve_parameters(yaml.safe_load(path.read_text()) | {"scale": scale})
    training = sections.Lam(**parameters["generators"]["lam"])
    assert training.reconstruction_weight == 300
    assert (training.image_weight, training.sequence_weight) == (1, 0.2)
    assert (training.visual_weight, training.logits_weight) == (250, 10)
    if scale == "paper":
        assert training == sections.Lam()
        assert training.learning_rate == 1e-4
        assert training.sequence_learning_rate == 1e-5
        assert training.frames == 75
        assert training.batch_size == 96
        assert training.adversarial_start == 0
