import math

import pytest
import torch

from visemix.models.temporal_attention_fusion import attention, fused_logits


def by_hand(x, w, bias, gamma, lambda_):
    """Equations 1 and 2 as printed: alpha, z and every z~_i built one by one."""
    batch, frames, _ = x.shape
    logits = torch.empty(batch, len(w), dtype=x.dtype)
    for b in range(batch):
        z = sum(x[b, j] for j in range(frames)) / frames
        for i in range(len(w)):
            cosine = [
                float(x[b, j] @ w[i]) / (float(x[b, j].norm()) * float(w[i].norm()))
                for j in range(frames)
            ]
            if math.isinf(gamma):
                alpha = [float(j == cosine.index(max(cosine))) for j in range(frames)]
            else:
                e = [math.exp(gamma * c) for c in cosine]
                alpha = [value / sum(e) for value in e]
            z_i = sum(alpha[j] * x[b, j] for j in range(frames))
            logits[b, i] = w[i] @ (z + lambda_ * z_i) + bias[i]
    return logits


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 7, 5, generator=generator, dtype=torch.float64)
    w = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    return x, w, torch.randn(4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("gamma", [0.0, 0.7, 5.0, math.inf])
@pytest.mark.parametrize("lambda_", [0.0, 0.1, 2.0])
def test_equations_1_and_2(problem, gamma, lambda_):
    x, w, bias = problem
    torch.testing.assert_close(
        fused_logits(x, w, bias, gamma, lambda_), by_hand(x, w, bias, gamma, lambda_)
    )


def test_the_choice_is_by_cosine_not_by_score():
    # Frame 0 points along W and is short; frame 1 is oblique and long, with the larger score.
    x, w = torch.tensor([[[1.0, 0.0], [3.0, 4.0]]]), torch.tensor([[1.0, 0.0]])
    assert attention(x, w, math.inf)[0, :, 0].tolist() == [1.0, 0.0]
    assert fused_logits(x, w, None, math.inf, 1.0).item() == pytest.approx(2.0 + 1.0)


def test_large_gamma_converges_to_the_hard_choice(problem):
    x, w, bias = problem
    hard = fused_logits(x, w, bias, math.inf, 0.3)
    gaps = [
        (fused_logits(x, w, bias, gamma, 0.3) - hard).abs().max().item()
        for gamma in (10.0, 100.0, 1000.0, 100_000.0)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 1e-3
    assert gaps[-1] < 1e-6


def test_without_lambda_or_with_gamma_0_it_is_average_pooling(problem):
    x, w, bias = problem
    average = x.mean(1) @ w.T
    torch.testing.assert_close(fused_logits(x, w, bias, math.inf, 0.0), average + bias)
    torch.testing.assert_close(fused_logits(x, w, None, 0.0, 0.5), 1.5 * average)


@pytest.mark.parametrize("gamma", [2.0, math.inf])
def test_gradients_are_finite_and_right(problem, gamma):
    x, w, bias = (value.clone().requires_grad_() for value in problem)
    assert torch.autograd.gradcheck(
        lambda *values: fused_logits(*values, gamma, 0.4), (x, w, bias), atol=1e-6
    )
    silent = torch.zeros(1, 3, 5, requires_grad=True)
    fused_logits(silent, w.float(), None, gamma, 0.1).sum().backward()
    assert torch.isfinite(silent.grad).all()


def test_attention_is_a_distribution_over_time(problem):
    x, w, _ = problem
    for gamma in (0.0, 3.0, 1e4, math.inf):
        alpha = attention(x, w, gamma)
        assert alpha.shape == (3, 7, 4)
        torch.testing.assert_close(alpha.sum(1), torch.ones(3, 4, dtype=torch.float64))
