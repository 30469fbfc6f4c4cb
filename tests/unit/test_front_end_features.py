"""Features for distances between sets of clips are float32 throughout, on GPUs with TF32 too."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from visemix.evaluation import features


def flags():
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.fixture
def allowed():
    before = flags()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_tf32_is_off_while_features_are_made_and_then_as_before(allowed, monkeypatch):
    seen = []

    def front_end(inputs):
        seen.append(flags())
        return inputs.mean((2, 3))[:, None]  # (B, 1, T)

    model = SimpleNamespace(front_end=front_end, config=SimpleNamespace(input_size=32))
    monkeypatch.setattr(features, "load_recogniser", lambda *_: (model, [], False))
    clips = [np.full((length, 96, 96), 100, np.uint8) for length in (3, 5, 3)]
    found = features.front_end_features("run", clips)
    assert [one.shape for one in found] == [(3, 1), (5, 1), (3, 1)]
    assert found[0].dtype == np.float32
    assert seen == [(False, False)] * 2
    assert flags() == (True, True)


def test_an_error_leaves_the_flags_as_they_were(allowed):
    with pytest.raises(KeyError), features.whole_float32():
        raise KeyError
    assert flags() == (True, True)
