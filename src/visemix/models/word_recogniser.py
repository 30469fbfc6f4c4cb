"""Isolated-word lip reader: front-end, DC-TCN back-end, word head, and LipGen's two additions.

Paper: Hao et al., "LipGen: viseme-guided lip video generation for enhancing visual speech
recognition" (arXiv 2501.04204, sections II-B, II-C, III-C). What the paper leaves unstated, and how
it is read here:

* the auxiliary viseme branch, "connected after the front-end network to extract temporal
  information" (II-B), is a DC-TCN of its own, of the size of the words' (`own`), or it takes the
  features of theirs (`shared`); a linear multi-label classifier follows, with a binary
  cross-entropy for each viseme. It guides training alone: evaluation does not compute it;
* the temporal attention fusion module stands in the auxiliary branch (II-C, III-D): the rows of
  the viseme classifier are the W_i of equations 1 and 2, and words keep average pooling. On the
  words, it replaces the pooling before their classifier.
"""

from typing import TypeVar

import torch
from torch import nn

from visemix.config.model import Recogniser
from visemix.models.dctcn import DCTCN
from visemix.models.front_end import FrontEnd
from visemix.models.temporal_attention_fusion import fused_logits

Network = TypeVar("Network", bound=nn.Module)


class WordRecogniser(nn.Module):
    """Normalised grey clips, float (B, T, S, S) -> {"word_logits", "viseme_logits"}.

    word_logits is (B, n_words). viseme_logits is (B, n_visemes) in training with the viseme
    branch, otherwise None.
    """

    def __init__(self, config: Recogniser):
        super().__init__()
        self.config = config
        self.front_end = FrontEnd(config)
        self.back_end = DCTCN(self.front_end.out_channels, config)
        features = self.back_end.out_channels
        self.word_head = _head(features, config.n_words)
        # The branch comes last, so that the words' weights start the same with and without it.
        self.viseme_back_end = self.viseme_head = None
        if config.viseme_branch == "own":
            self.viseme_back_end = DCTCN(self.front_end.out_channels, config)
        if config.viseme_branch != "none":
            self.viseme_head = _head(features, config.n_visemes)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor | None]:
        frames = self.front_end(x)  # (B, 8 width, T)
        temporal = self.back_end(frames)  # (B, T, D)
        on, visemes = self.config.tafm_on, None
        words = self._logits(temporal, self.word_head, on in ("words", "both"))
        if self.viseme_head is not None and self.training:
            features = self.viseme_features(frames, temporal)
            visemes = self._logits(features, self.viseme_head, on in ("visemes", "both"))
        return {"word_logits": words, "viseme_logits": visemes}

    def viseme_features(self, frames: torch.Tensor, temporal: torch.Tensor) -> torch.Tensor:
        """X of the auxiliary branch, (B, T, D).

        frames: of the front-end, (B, 8 width, T); temporal: of the words' DC-TCN, (B, T, D).
        """
        return temporal if self.viseme_back_end is None else self.viseme_back_end(frames)

    def parameters_at_test(self) -> int:
        """Number of weights that read a clip: without the auxiliary branch."""
        of_branch = sum(
            parameter.numel()
            for part in (self.viseme_back_end, self.viseme_head)
            if part is not None
            for parameter in part.parameters()
        )
        return sum(parameter.numel() for parameter in self.parameters()) - of_branch

    def _logits(self, x: torch.Tensor, head: nn.Linear, tafm: bool) -> torch.Tensor:
        """(B, T, D) -> (B, classes), pooled by the module or averaged."""
        # The heads and their cosines run in float32 whatever the precision of the layers before.
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            if not tafm:
                return head(x.mean(1))
            gamma, lambda_ = self.config.gamma, self.config.lambda_
            assert gamma is not None and lambda_ is not None  # see config.runs.check_tafm
            return fused_logits(x, head.weight, head.bias, gamma, lambda_)


def _head(features: int, classes: int) -> nn.Linear:
    head = nn.Linear(features, classes)
    nn.init.normal_(head.weight, std=(2 / features) ** 0.5)
    nn.init.zeros_(head.bias)
    return head


def for_fast_convolutions(model: Network) -> Network:
    """Keep the weights of 2D convolutions channels-last, as their inputs are; values stay."""
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it
    return model
