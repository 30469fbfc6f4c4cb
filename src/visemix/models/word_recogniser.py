"""Isolated-word lip reader: front-end, DC-TCN back-end, word head, and LipGen's two additions.

Paper: Hao et al., "LipGen: viseme-guided lip video generation for enhancing visual speech
recognition" (arXiv 2501.04204, sections II-B, II-C, III-C). What the paper leaves unsaid, and how
it is read here:

* the viseme branch is a linear multi-label classifier on the time-averaged back-end features, with
  a binary cross-entropy for each viseme. It guides training alone: evaluation does not compute it;
* the temporal attention fusion module replaces average pooling before the word classifier.
"""

from dataclasses import asdict, dataclass, field

import torch
from torch import nn

from visemix.models.dctcn import DCTCN, DCTCNConfig
from visemix.models.front_end import FrontEnd
from visemix.models.temporal_attention_fusion import fused_logits


@dataclass(frozen=True)
class RecogniserConfig:
    """Everything that fixes the network; the defaults are the published full size.

    Attributes:
        n_words: number of words to tell apart.
        n_visemes: number of viseme classes.
        input_size: side of the network input in pixels.
        width: channels of the front-end's stem; frame features have 8 * width.
        tsm_ratios, pooling: see `FrontEnd`.
        backend: size of the DC-TCN.
        viseme_branch: train with the auxiliary viseme classifier.
        tafm: pool by the temporal attention fusion module.
        gamma: its sharpness, from 0 to infinity.
        lambda_: its weight.
    """

    n_words: int
    n_visemes: int = 18
    input_size: int = 88
    width: int = 64
    tsm_ratios: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    pooling: str = "average"
    backend: DCTCNConfig = field(default_factory=DCTCNConfig)
    viseme_branch: bool = False
    tafm: bool = False
    gamma: float = float("inf")
    lambda_: float = 0.1

    def __post_init__(self):
        if self.n_words < 2 or self.n_visemes < 1 or self.width < 1:
            raise ValueError(
                f"n_words {self.n_words}, n_visemes {self.n_visemes}, width {self.width}: "
                "at least 2 words, 1 viseme and 1 channel are needed"
            )
        if not self.gamma >= 0:
            raise ValueError(f"gamma is {self.gamma}; it must lie between 0 and infinity")

    def to_json(self) -> dict:
        """Plain values for a JSON file; infinity becomes the string "inf"."""
        values = asdict(self)
        values["gamma"] = "inf" if self.gamma == float("inf") else self.gamma
        return values

    @classmethod
    def from_json(cls, values: dict) -> "RecogniserConfig":
        """The inverse of `to_json`."""
        backend = {k: tuple(v) if isinstance(v, list) else v for k, v in values["backend"].items()}
        return cls(
            **{
                **values,
                "tsm_ratios": tuple(values["tsm_ratios"]),
                "backend": DCTCNConfig(**backend),
                "gamma": float(values["gamma"]),
            }
        )


class WordRecogniser(nn.Module):
    """Normalised grey clips, float (B, T, S, S) -> {"word_logits", "viseme_logits"}.

    word_logits is (B, n_words). viseme_logits is (B, n_visemes) in training with the viseme
    branch, otherwise None.
    """

    def __init__(self, config: RecogniserConfig):
        super().__init__()
        self.config = config
        self.front_end = FrontEnd(
            config.input_size, config.width, config.tsm_ratios, config.pooling
        )
        self.back_end = DCTCN(self.front_end.out_channels, config.backend)
        features = config.backend.out_channels
        self.word_head = nn.Linear(features, config.n_words)
        self.viseme_head = nn.Linear(features, config.n_visemes) if config.viseme_branch else None
        for head in (self.word_head, self.viseme_head):
            if head is not None:
                nn.init.normal_(head.weight, std=(2 / features) ** 0.5)
                nn.init.zeros_(head.bias)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor | None]:
        x = self.front_end(x)  # (B, 8 width, T)
        x = self.back_end(x)  # (B, T, D)
        # The heads and their cosines run in float32 whatever the precision of the layers before.
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            mean = x.mean(1)  # (B, D)
            if self.config.tafm:
                head = self.word_head
                words = fused_logits(
                    x, head.weight, head.bias, self.config.gamma, self.config.lambda_
                )
            else:
                words = self.word_head(mean)
            with_visemes = self.viseme_head is not None and self.training
            visemes = self.viseme_head(mean) if with_visemes else None
        return {"word_logits": words, "viseme_logits": visemes}


def for_fast_convolutions(model: nn.Module) -> nn.Module:
    """Keep the weights of 2D convolutions channels-last, as their inputs are; values stay."""
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            part.to(memory_format=torch.channels_last)
    return model
