"""The networks, losses and schedule of Wav2Lip, and the measure of lip sync."""

import math

import numpy as np
import pytest
import torch
import yaml
from tests.helpers.toy_talkers import FRAMES, ToyTalkers
from tests.helpers.workflow import REPOSITORY
from threadpoolctl import threadpool_limits

from visemix.config.generators import Wav2Lip
from visemix.config.parameters import merge, read_scales, resolve_parameters, trained_settings
from visemix.generators.speech_windows import mel_spectrogram, spectra_of
from visemix.generators.wav2lip.batches import (
    LEAD,
    expert_batch,
    generator_batch,
    masked,
    to_crops,
    to_pictures,
    two_starts,
)
from visemix.generators.wav2lip.measures import likeness, speak
from visemix.generators.wav2lip.model import Discriminator, Generator
from visemix.generators.wav2lip.syncnet import SyncNet, expert_loss, sync_distances, sync_loss
from visemix.generators.wav2lip.training import (
    discriminator_loss,
    generator_losses,
    next_sync_weight,
    total_loss,
)

SMALL = Wav2Lip(size=24, width=2, expert_width=2, discriminator_width=2)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread_and_no_gradients():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad(), threadpool_limits(1):
        yield
    torch.set_num_threads(before)


def a_batch(config: Wav2Lip):
    data, rng = ToyTalkers(4), np.random.default_rng(0)
    return generator_batch(data, spectra_of(data), np.arange(4), rng, config, CPU)


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_full_size_networks_have_the_published_number_of_parameters():
    """36.3 M, 16.4 M and 14.1 M; ours see one grey channel, so add what two colours more take."""
    with torch.device("meta"):
        full = Wav2Lip()
        generator, expert, discriminator = Generator(full), SyncNet(full), Discriminator(full)
    first, head = 7 * 7 * 4 * 16, 2 * (32 + 1)  # 6 instead of 2 channels in, 3 instead of 1 out
    assert round((parameters(generator) + first + head) / 1e6, 2) == 36.30
    assert round((parameters(expert) + 7 * 7 * 10 * 32) / 1e6, 2) == 16.44
    assert round((parameters(discriminator) + 7 * 7 * 2 * 32) / 1e6, 2) == 14.11


@pytest.mark.parametrize("size", [24, 48, 96])
def test_every_size_gives_crops_codes_and_decisions_of_the_right_form(size):
    config = Wav2Lip(size=size, width=1, expert_width=1, discriminator_width=1)
    torch.manual_seed(0)
    mels, faces = torch.randn(3, 1, 80, 16), torch.rand(3, 2, size, size)
    drawn = Generator(config)(mels, faces)
    assert drawn.shape == (3, 1, size, size)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    expert, windows = SyncNet(config), torch.rand(3, 5, size // 2, size)
    assert expert.encode_sound(mels).shape == expert.encode_faces(windows).shape == (3, 16)
    cosines = expert(mels, windows)
    assert ((cosines >= 0) & (cosines <= 1 + 1e-6)).all()
    assert Discriminator(config)(drawn[:, :, : size // 2]).shape == (3,)


def test_the_generator_sees_nothing_of_the_hidden_half():
    pictures = torch.rand(2, 5, 24, 24)
    hidden = masked(pictures, SMALL)
    assert (hidden[..., 12:, :] == 0).all()
    assert (hidden[..., :12, :] == pictures[..., :12, :]).all()
    assert SMALL.band == slice(12, 24)
    higher = Wav2Lip(size=48, hidden_from=24)
    assert (higher.first_hidden, higher.band) == (12, slice(12, 36))
    data = ToyTalkers(4)
    batch = generator_batch(
        data, spectra_of(data), np.arange(4), np.random.default_rng(0), SMALL, CPU
    )
    assert (batch.faces[:, :, 0, 12:] == 0).all()
    assert (batch.faces[:, :, 0, :12] == batch.truth[:, :, :12]).all()
    assert (batch.faces[:, :, 1] != batch.truth).any(dim=(1, 2, 3)).all()  # another window


def test_a_generator_that_draws_changes_starts_from_the_reference():
    config = SMALL.model_copy(update={"draw_change": True})
    torch.manual_seed(0)
    generator, faces = Generator(config).eval(), 0.1 + 0.8 * torch.rand(3, 2, 24, 24)
    mels = torch.randn(3, 1, 80, 16)
    generator.head[-1].weight.zero_()
    generator.head[-1].bias.zero_()
    torch.testing.assert_close(generator(mels, faces)[:, 0], faces[:, 1])
    generator.head[-1].bias += 1
    assert (generator(mels, faces)[:, 0] > faces[:, 1]).all()


def test_the_audio_encoder_of_the_expert_is_heard_with_and_left_alone():
    config = SMALL.model_copy(update={"expert_audio": True})
    generator = Generator(config).train()
    encoder = generator.audio_encoder[0]
    encoder.load_state_dict(SyncNet(config).audio_encoder.state_dict())
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with torch.enable_grad():
        generator(torch.randn(3, 1, 80, 16), torch.rand(3, 2, 24, 24)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert all(parameter.grad is not None for parameter in generator.decoder.parameters())


def test_an_expert_that_sees_movement_does_not_see_looks():
    expert = SyncNet(SMALL.model_copy(update={"expert_subtract_mean_frame": True})).eval()
    windows, looks = torch.rand(3, 5, 12, 24), torch.rand(3, 1, 12, 24)
    torch.testing.assert_close(expert.encode_faces(windows), expert.encode_faces(windows + looks))
    assert not torch.equal(
        SyncNet(SMALL).eval().encode_faces(windows), expert.encode_faces(windows + looks)
    )


def test_batches_hold_the_frames_and_their_own_sound():
    data, rng = ToyTalkers(6), np.random.default_rng(5)
    rows = np.arange(6)
    here, _ = two_starts(np.random.default_rng(5), 6, FRAMES)
    batch = generator_batch(data, spectra_of(data), rows, rng, SMALL, CPU)
    for i, start in enumerate(here):
        mel = mel_spectrogram(data.sounds([i])[0])
        column = int(3.2 * start)
        np.testing.assert_array_equal(batch.mels[i, 0], mel[:, column : column + 16])
        for k in range(5):  # a frame hears what starts one frame before it
            column = math.floor(3.2 * (start + k - LEAD))
            heard = batch.frame_mels[i, k, 0]
            inside = slice(max(0, -column), min(16, mel.shape[1] - column))
            expected = mel[:, column + inside.start : column + inside.stop]
            np.testing.assert_array_equal(heard[:, inside], expected)
            outside = [c for c in range(16) if not inside.start <= c < inside.stop]
            assert (heard[:, outside] == -4).all()
        truth = to_pictures(data.crops([i])[0, start : start + 5], SMALL, CPU)
        assert torch.equal(batch.truth[i], truth)


def test_the_expert_compares_windows_with_all_sounds_of_their_clip():
    data, rows = ToyTalkers(6), np.array([4, 2])
    batch = expert_batch(data, spectra_of(data), rows, np.random.default_rng(5), SMALL, CPU)
    assert batch.faces.shape == (2, 4, 5, 12, 24)
    for i, row in enumerate(rows):
        mel = mel_spectrogram(data.sounds([row])[0])
        starts = set()
        for faces, heard in zip(batch.faces[i], batch.mels[i, :, 0], strict=True):
            fits = [
                start
                for start in range(FRAMES - 4)
                if torch.equal(
                    faces, to_pictures(data.crops([row])[0, start : start + 5], SMALL, CPU)[:, 12:]
                )
                and np.array_equal(heard, mel[:, int(3.2 * start) : int(3.2 * start) + 16])
            ]
            assert len(fits) == 1
            starts |= set(fits)
        assert len(starts) == 4
    expert = SyncNet(SMALL).eval()
    cosines = expert.compare(batch)
    assert cosines.shape == (2, 4, 4)
    one = expert(batch.mels[1, 3][None], batch.faces[1, 2][None])
    assert cosines[1, 2, 3] == pytest.approx(float(one), abs=1e-5)


def test_two_windows_of_a_clip_are_never_the_same():
    here, there = two_starts(np.random.default_rng(0), 5000, 29)
    assert (here != there).all()
    assert set(here) == set(there) == set(range(25))
    with pytest.raises(ValueError, match="at least 6"):
        two_starts(np.random.default_rng(0), 3, 5)


def test_crops_and_pictures():
    crops = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)
    full = to_pictures(crops, Wav2Lip(), CPU)
    np.testing.assert_array_equal(to_crops(full, crops[0], Wav2Lip()), crops)
    small = to_pictures(crops, SMALL, CPU)
    assert small.shape == (3, 24, 24)
    assert float(small[1, 2, 3]) == pytest.approx(crops[1, 8:12, 12:16].mean() / 255, abs=1e-6)
    # the first was drawn unchanged, the second lighter: what is finer than 24 px stays
    still = crops[0] // 2
    drawn = to_pictures(still[None], SMALL, CPU) + torch.tensor([0, 20 / 255])[:, None, None]
    made = to_crops(drawn, still, SMALL)
    np.testing.assert_array_equal(made[0], still)
    np.testing.assert_array_equal(made[1], still + 20)


def test_losses_and_their_weights():
    config = Wav2Lip(size=24, width=2, expert_width=2, discriminator_width=2)
    torch.manual_seed(0)
    expert, discriminator = SyncNet(config).eval(), Discriminator(config)
    data = ToyTalkers(4)
    batch = generator_batch(
        data, spectra_of(data), np.arange(4), np.random.default_rng(0), config, CPU
    )
    drawn = torch.rand_like(batch.truth)
    plain = generator_losses(drawn, batch, expert, None, config)
    assert set(plain) == {"l1", "sync"}
    assert plain["l1"] == pytest.approx(float((drawn - batch.truth).abs().mean()))
    cosines = expert(batch.mels, drawn[:, :, config.band])
    assert plain["sync"] == pytest.approx(float(-cosines.log().clamp(min=-100).mean()), rel=1e-5)
    assert total_loss(plain, 0.0, config) == plain["l1"]
    expected = 0.97 * plain["l1"] + 0.03 * plain["sync"]
    assert total_loss(plain, 0.03, config) == pytest.approx(float(expected))
    both = generator_losses(drawn, batch, expert, discriminator, config)
    logits = discriminator(drawn[:, :, config.band].flatten(0, 1)[:, None])
    assert both["adversarial"] == pytest.approx(float(torch.log1p((-logits).exp()).mean()))
    expected = 0.9 * both["l1"] + 0.03 * both["sync"] + 0.07 * both["adversarial"]
    assert total_loss(both, 0.03, config) == pytest.approx(float(expected))
    same = discriminator_loss(discriminator, batch.truth, batch.truth, config)
    logits = discriminator(batch.truth[:, :, config.band].flatten(0, 1)[:, None])
    expected = torch.log1p((-logits).exp()).mean() + torch.log1p(logits.exp()).mean()
    assert same == pytest.approx(float(expected))


def test_the_experts_loss_is_cross_entropy_on_the_cosine():
    cosines, in_sync = torch.tensor([0.9, 0.2, 1.0]), torch.tensor([1.0, 0.0, 1.0])
    expected = -(math.log(0.9) + math.log(0.8)) / 3
    assert sync_loss(cosines, in_sync) == pytest.approx(expected, rel=1e-5)
    assert torch.isfinite(sync_loss(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])))
    cosines = torch.tensor([[[0.9, 0.2], [0.4, 0.7]]])  # own sounds on the diagonal
    expected = -(math.log(0.9 * 0.7) / 2 + math.log(0.8 * 0.6) / 2) / 2
    assert expert_loss(cosines) == pytest.approx(expected, rel=1e-5)


def test_the_schedule_switches_the_expert_on_for_good():
    config = Wav2Lip()
    assert next_sync_weight(0.0, 0.76, config) == 0.0
    assert next_sync_weight(0.0, 0.74, config) == 0.03
    assert next_sync_weight(0.03, 0.9, config) == 0.03


@pytest.mark.parametrize("frames", [1, 3, 29, 70, 131])
def test_every_frame_is_drawn_whatever_the_length_of_the_sound(frames):
    torch.manual_seed(0)
    generator = Generator(SMALL)
    still = ToyTalkers(1).crops([0])[0, 0]
    sound = np.random.default_rng(0).integers(-5000, 5000, 29 * 640).astype(np.int16)
    assert speak(generator, still, sound, frames).shape == (frames, 96, 96)


def test_frames_do_not_depend_on_how_many_are_drawn():
    torch.manual_seed(0)
    generator, still = Generator(SMALL), ToyTalkers(1).crops([0])[0, 0]
    sound = np.random.default_rng(0).integers(-5000, 5000, 90 * 640).astype(np.int16)
    long, short = (speak(generator, still, sound, n).astype(int) for n in (90, 70))
    assert abs(long[:70] - short).max() <= 1


def test_silence_gives_a_still_face_and_no_nan():
    torch.manual_seed(0)
    generator, still = Generator(SMALL), ToyTalkers(1).crops([0])[0, 0]
    made = speak(generator, still, np.zeros(29 * 640, np.int16), 29)
    assert (made == made[0]).all()
    _, distances = sync_distances(SyncNet(SMALL).eval(), made, np.zeros(29 * 640, np.int16))
    assert np.isfinite(distances).all()


def test_offsets_are_those_that_the_clip_has_room_for():
    expert, data = SyncNet(SMALL).eval(), ToyTalkers(1, frames=29)
    offsets, distances = sync_distances(expert, data.crops([0])[0], data.sounds([0])[0])
    assert offsets.tolist() == list(range(-15, 16))
    assert ((distances >= 0) & (distances <= math.sqrt(2))).all()
    offsets, _ = sync_distances(expert, data.crops([0])[0, :18], data.sounds([0])[0])
    assert offsets.tolist() == list(range(-4, 5))
    with pytest.raises(ValueError, match="at least 15"):
        sync_distances(expert, data.crops([0])[0, :14], data.sounds([0])[0])
    with pytest.raises(ValueError, match="not uint8"):
        sync_distances(expert, data.crops([0])[0] / 255, data.sounds([0])[0])


def test_likeness_looks_at_the_lower_half_alone():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 200, (4, 96, 96), np.uint8)
    made = true.copy()
    made[:, 48:] += 10
    values = likeness(made, true)
    assert values["psnr"] == pytest.approx(20 * math.log10(255 / 10), abs=1e-3)
    made[:, :48] = 0
    assert likeness(made, true) == values


def test_parameters_that_cannot_be_are_refused():
    for wrong in (
        {"size": 40}, {"hidden_from": 60}, {"hidden_from": 49, "size": 48}, {"steps": 0},
        {"learning_rate": 0.0}, {"sync_weight": 0.95}, {"sync_weight": -0.1},
        {"beta1": 1.0},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            Wav2Lip(**wrong)


def test_params_yaml_holds_parameters_that_fit_and_the_published_ones_at_paper_scale():
    config = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    for scale in read_scales(REPOSITORY):
        parameters = resolve_parameters(merge(config, {"scale": scale}))
        settings = Wav2Lip(**parameters["generators"]["wav2lip"])
        variant = trained_settings("wav2lip-gan", parameters)
        assert variant == trained_settings("wav2lip", parameters) | {"adversarial": True}
        if scale == "paper":
            assert settings == Wav2Lip()
