"""What the viseme classes attend to is what the branch attended to in training."""

import math

import numpy as np
import pytest
import torch

from visemix.clips import augmentation
from visemix.config.model import Recogniser
from visemix.evaluation.attention import viseme_attention
from visemix.models.word_recogniser import WordRecogniser
from visemix.report.figures import attention_figure
from visemix.training.recogniser import write_recogniser

MODEL = Recogniser(
    n_words=2, n_visemes=3, input_size=32, width=4, gamma=3.0, lambda_=0.4,
    blocks=1, layers=1, dilations=[1], growth=12, reduced=16, dropout=0.0,
    temporal_shift=[0.0] * 4,
    viseme_branch="own", tafm_on="visemes",
)  # fmt: skip
CLIPS = np.random.default_rng(0).integers(0, 256, (2, 9, 96, 96), dtype=np.uint8)


def untrained(folder, config):
    torch.manual_seed(0)
    model = WordRecogniser(config)
    write_recogniser(folder, model.state_dict(), config, ["A", "B"])
    return model.eval()


@pytest.mark.parametrize("branch", ["own", "shared"])
def test_the_branch_s_logits_follow_from_the_attention(tmp_path, branch):
    model = untrained(tmp_path, MODEL.model_copy(update={"viseme_branch": branch}))
    cosines, alpha = viseme_attention(tmp_path, CLIPS)
    assert cosines.shape == alpha.shape == (2, 9, 3)
    np.testing.assert_allclose(alpha.sum(1), 1, rtol=1e-5)
    weights = np.exp(3.0 * cosines)
    np.testing.assert_allclose(alpha, weights / weights.sum(1, keepdims=True), rtol=1e-3)
    with torch.inference_mode():
        inputs = augmentation.centre_crop(torch.from_numpy(CLIPS), False, 32)
        network = model.back_end if branch == "shared" else model.viseme_back_end
        features = network(model.front_end(inputs))
        scores = features @ model.viseme_head.weight.T
        model.training = True  # the branch speaks in training; the norms stay as they are
        expected = model(inputs)["viseme_logits"] - model.viseme_head.bias
    found = scores.mean(1) + 0.4 * (torch.from_numpy(alpha) * scores).sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_words_have_no_part_in_it(tmp_path):
    words = MODEL.model_copy(update={"viseme_branch": "shared", "tafm_on": "words"})
    untrained(tmp_path, words)
    with pytest.raises(ValueError, match="tafm_on 'words': its viseme classes attend to no frames"):
        viseme_attention(tmp_path, CLIPS)


def test_the_picture_is_drawn_for_one_frame_a_class(tmp_path):
    untrained(tmp_path, MODEL.model_copy(update={"gamma": math.inf}))
    cosines, alpha = viseme_attention(tmp_path, CLIPS)
    assert ((alpha == 0) | (alpha == 1)).all()
    assert (alpha.argmax(1) == cosines.argmax(1)).all()
    rows = [("A (a-1)", CLIPS[0], cosines[0], alpha[0], {"p"})]
    assert attention_figure(rows, ["p", "q", "r"]).startswith(b"\x89PNG")
