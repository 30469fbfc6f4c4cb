import json
import math

import pytest
import torch

from visemix.config.model import Recogniser, recogniser_of
from visemix.models.word_recogniser import WordRecogniser, for_fast_convolutions

NARROW = Recogniser(
    n_words=4,
    input_size=32,
    width=4,
    temporal_shift=[0.0, 0.125, 0.25, 0.25],
    pooling="conv3d",
    blocks=1,
    layers=2,
    dilations=[1, 2],
    growth=12,
    reduced=16,
    dropout=0.0,
    viseme_branch="own",
    tafm_on="visemes",
    lambda_=0.1,
    gamma=math.inf,
)


def replace(config, **changes):
    """A changed copy of parameters."""
    return type(config)(**config.model_dump() | changes)


def parameters_of(*modules) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_published_size_of_resnet18_dctcn():
    with torch.device("meta"):
        model = WordRecogniser(Recogniser(n_words=500, temporal_shift=[0.0] * 4))
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
    without = WordRecogniser(replace(NARROW, viseme_branch="none", tafm_on="none"))
    assert without(x)["viseme_logits"] is None


def logits(**changes) -> dict[str, torch.Tensor]:
    """Of the same weights, wherever the module stands; all wiring the same but for `changes`."""
    torch.manual_seed(0)
    model, x = WordRecogniser(replace(NARROW, **changes)), torch.randn(2, 7, 32, 32)
    return model(x)


@pytest.mark.parametrize("branch", ["own", "shared"])
def test_tafm_on_the_visemes_leaves_the_words_alone(branch):
    averaged = logits(viseme_branch=branch, lambda_=0.0)
    fused = logits(viseme_branch=branch, lambda_=0.5)
    assert (fused["viseme_logits"] - averaged["viseme_logits"]).abs().max() > 1e-3
    assert torch.equal(fused["word_logits"], averaged["word_logits"])


def test_tafm_on_the_words_leaves_the_visemes_alone():
    averaged = logits(tafm_on="words", lambda_=0.0)
    fused = logits(tafm_on="words", lambda_=0.5)
    assert (fused["word_logits"] - averaged["word_logits"]).abs().max() > 1e-3
    assert torch.equal(fused["viseme_logits"], averaged["viseme_logits"])
    both, visemes = logits(tafm_on="both", lambda_=0.5), logits(lambda_=0.5)
    assert torch.equal(both["word_logits"], fused["word_logits"])
    assert torch.equal(both["viseme_logits"], visemes["viseme_logits"])
    plain = logits(tafm_on="none")
    for head in ("word_logits", "viseme_logits"):
        torch.testing.assert_close(averaged[head], plain[head], rtol=1e-4, atol=1e-5)


def test_words_are_the_linear_layer_of_the_mean_over_time():
    torch.manual_seed(0)
    model, x = WordRecogniser(NARROW).eval(), torch.randn(2, 7, 32, 32)
    features = model.back_end(model.front_end(x))
    assert torch.equal(model(x)["word_logits"], model.word_head(features.mean(1)))


@pytest.mark.parametrize("branch", ["own", "shared"])
@pytest.mark.parametrize("gamma", [2.5, math.inf])
def test_the_branch_is_equations_1_and_2_with_the_rows_of_the_viseme_classifier(branch, gamma):
    torch.manual_seed(0)
    config = replace(NARROW, viseme_branch=branch, gamma=gamma, lambda_=0.3)
    model, x = WordRecogniser(config), torch.randn(2, 7, 32, 32)
    found = model(x)["viseme_logits"]
    temporal = model.back_end if branch == "shared" else model.viseme_back_end
    features, rows = temporal(model.front_end(x)), model.viseme_head.weight
    for b in range(2):
        for i in range(18):
            cosine = [torch.cosine_similarity(frame, rows[i], dim=0) for frame in features[b]]
            if gamma == math.inf:
                attended = features[b, max(range(7), key=lambda j: cosine[j])]
            else:
                weights = [math.exp(gamma * c.item()) for c in cosine]
                shares = [weight / sum(weights) for weight in weights]
                attended = sum(a * frame for a, frame in zip(shares, features[b], strict=True))
            fused = sum(features[b]) / 7 + 0.3 * attended
            expected = rows[i] @ fused + model.viseme_head.bias[i]
            torch.testing.assert_close(found[b, i], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("branch", ["own", "shared"])
def test_visemes_teach_the_front_end_and_the_words_back_end_only_if_it_is_shared(branch):
    torch.manual_seed(0)
    model = WordRecogniser(replace(NARROW, viseme_branch=branch))
    model(torch.randn(2, 7, 32, 32))["viseme_logits"].square().sum().backward()

    def taught(part):
        return any(p.grad is not None and p.grad.abs().max() > 0 for p in part.parameters())

    assert taught(model.front_end)
    assert taught(model.back_end) == (branch == "shared")
    assert not taught(model.word_head)


def test_the_branch_changes_no_initial_weight_of_the_words_and_is_not_counted_at_test():
    models = []
    for branch in ("none", "own", "shared"):
        torch.manual_seed(0)
        tafm_on = "none" if branch == "none" else "visemes"
        models.append(WordRecogniser(replace(NARROW, viseme_branch=branch, tafm_on=tafm_on)))
    without, *others = (model.state_dict() for model in models)
    for weights in others:
        assert all(torch.equal(weights[name], value) for name, value in without.items())
    assert {model.parameters_at_test() for model in models} == {parameters_of(models[0])}


def test_fast_layout_changes_no_value():
    torch.manual_seed(0)
    model, x = WordRecogniser(NARROW).eval(), torch.randn(2, 7, 32, 32)
    before = model(x)["word_logits"]
    after = for_fast_convolutions(model)(x)["word_logits"]
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_config_survives_json():
    values = json.loads(json.dumps(NARROW.to_json()))
    assert values["gamma"] == "inf"
    assert values["lambda"] == 0.1
    assert recogniser_of(values) == NARROW
    finite = replace(NARROW, gamma=3.5)
    assert recogniser_of(json.loads(json.dumps(finite.to_json()))) == finite


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_words": 1},
        {"gamma": -1.0},
        {"gamma": math.nan},
        {"viseme_branch": True},
        {"tafm_on": "viseme"},
        {"tafm_on": "both", "viseme_branch": "none"},
        {"lambda_": None},
    ],
)
def test_senseless_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).rstrip("_")):
        replace(NARROW, **wrong)
