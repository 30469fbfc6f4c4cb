"""Temporal attention fusion module (TAFM) of LipGen (arXiv 2501.04204, section II-C).

With frame features X (B, T, D) and the classifier's rows W_i as class prototypes, equation 1 is

    alpha_ij = exp(gamma cos(X_j, W_i)) / sum_k exp(gamma cos(X_k, W_i)),

equation 2 is z = mean_j X_j and z~_i = sum_j alpha_ij X_j, and the classified feature is
f = z + lambda z~. The paper prints f without the class index, but z~ has one; reading: f_i =
z + lambda z~_i and logit_i = W_i . f_i + bias_i. Both terms are linear in X, so neither z~_i nor
f_i is built: with S = X W^T, logit_i = mean_j S_ij + lambda sum_j alpha_ij S_ij + bias_i.

For gamma = infinity, the paper's setting, the softmax is the hard choice of the frame of largest
cosine. (The cited residual attention, arXiv 2108.02456, takes the largest score instead, with
normalised W; that is the same frame only if all frames have equal norm.)
"""

import math

import torch
import torch.nn.functional as F


def fused_logits(
    features: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    gamma: float,
    lambda_: float,
) -> torch.Tensor:
    """Class logits of equations 1 and 2.

    Args:
        features: X, (B, T, D).
        weight: W, (N, D).
        bias: (N,) or None.
        gamma: sharpness of the attention, from 0 to infinity.
        lambda_: weight of the attended feature; 0 is average pooling.

    Returns:
        (B, N).
    """
    scores = F.linear(features, weight)  # (B, T, N)
    attended = (attention(features, weight, gamma, scores) * scores).sum(1)
    logits = scores.mean(1) + lambda_ * attended
    return logits if bias is None else logits + bias


def attention(
    features: torch.Tensor,
    weight: torch.Tensor,
    gamma: float,
    scores: torch.Tensor | None = None,
) -> torch.Tensor:
    """alpha of equation 1, (B, T, N): over T it is a distribution; one-hot for gamma infinite.

    `scores` may hold X W^T, (B, T, N), when it is known already.
    """
    if scores is None:
        scores = F.linear(features, weight)
    lengths = features.norm(dim=2, keepdim=True) * weight.norm(dim=1)  # (B, T, N)
    cosine = scores / lengths.clamp_min(1e-8)
    if math.isinf(gamma):
        best = cosine.argmax(1, keepdim=True)
        return torch.zeros_like(cosine).scatter_(1, best, 1.0)
    return torch.softmax(gamma * cosine, dim=1)
