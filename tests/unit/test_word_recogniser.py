import json
import math
from dataclasses import replace

import pytest
import torch

from visemix.models.dctcn import DCTCNConfig
from visemix.models.word_recogniser import RecogniserConfig, WordRecogniser, for_fast_convolutions

NARROW = RecogniserConfig(
    n_words=4,
    input_size=32,
    width=4,
    tsm_ratios=(0.0, 0.125, 0.25, 0.25),
    pooling="conv3d",
    backend=DCTCNConfig(layers=(2,), growth=12, reduced=16, dropout=0.0),
    viseme_branch=True,
    tafm=True,
)


def parameters_of(*modules) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_published_size_of_resnet18_dctcn():
    with torch.device("meta"):
        model = WordRecogniser(RecogniserConfig(n_words=500))
    assert parameters_of(model) == 52_548_532  # 52.549 M
    assert parameters_of(model.front_end.stem) == 15_808  # .016 M
    assert parameters_of(model.front_end.blocks) == 11_166_976  # 11.167 M
    assert parameters_of(model.back_end, model.word_head) == 41_365_748  # 41.366 M


def test_outputs_and_the_viseme_branch_is_dropped_in_evaluation():
    torch.manual_seed(0)
    model, x = WordRecogniser(NARROW), torch.randn(2, 7, 32, 32)
    out = model(x)
    assert out["word_logits"].shape == (2, 4)
    assert out["viseme_logits"].shape == (2, 18)
    (out["word_logits"].sum() + out["viseme_logits"].sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert model.eval()(x)["viseme_logits"] is None
    without = WordRecogniser(replace(NARROW, viseme_branch=False))
    assert without(x)["viseme_logits"] is None


def test_lambda_0_is_average_pooling_and_lambda_matters():
    torch.manual_seed(0)
    model, x = WordRecogniser(NARROW).eval(), torch.randn(2, 7, 32, 32)

    def logits(**changes):
        model.config = replace(NARROW, **changes)
        return model(x)["word_logits"]

    torch.testing.assert_close(logits(lambda_=0.0), logits(tafm=False), rtol=1e-4, atol=1e-5)
    assert (logits(lambda_=0.5) - logits(tafm=False)).abs().max() > 1e-3


def test_fast_layout_changes_no_value():
    torch.manual_seed(0)
    model, x = WordRecogniser(NARROW).eval(), torch.randn(2, 7, 32, 32)
    before = model(x)["word_logits"]
    after = for_fast_convolutions(model)(x)["word_logits"]
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_config_survives_json():
    values = json.loads(json.dumps(NARROW.to_json()))
    assert values["gamma"] == "inf"
    assert RecogniserConfig.from_json(values) == NARROW
    finite = replace(NARROW, gamma=3.5)
    assert RecogniserConfig.from_json(json.loads(json.dumps(finite.to_json()))) == finite


@pytest.mark.parametrize("wrong", [{"n_words": 1}, {"gamma": -1.0}, {"gamma": math.nan}])
def test_senseless_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(NARROW, **wrong)
