"""The section `crops`: how the mouth is found in a video and cut out."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from visemix.config.section import PositiveInt, Proportion, Section, Sha256


class Crops(Section):
    """Face detection, alignment and the 96x96 mouth crops."""

    alignment: Literal["retinaface", "fixed"] = "retinaface"
    """`retinaface`: aligned by the face's landmarks in each frame; `fixed`: one square of LRW's
    256x256 frames, without a detector (Feng et al., arXiv 2011.07557)."""
    detector: Literal["mobilenet0.25", "resnet50"] = "mobilenet0.25"
    """Backbone of RetinaFace. `resnet50` is far slower, meant for a GPU, and needs weights that
    the user gives."""
    detector_weights: str | None = None
    """`resnet50` only: file with the weights of retinaface-pytorch; null: the detector brings its
    own."""
    detector_sha256: Sha256 | None = None
    """`resnet50` only: sha256 of that file, 64 hexadecimal digits; null: the detector brings its
    own weights."""
    score: Proportion = 0.5
    """Detections below this score are ignored."""
    detect_every: PositiveInt = 3
    """Frames between detections while the face moves slowly; 1: every frame."""
    longest_side: Annotated[int, Field(ge=64)] = 640
    """Pixels; frames with a longer side are scaled down for the detector."""
    max_missing_proportion: Proportion = 0.25
    """Clips whose face is missing in a larger proportion of their frames are rejected."""
    eye_to_mouth: Annotated[float, Field(ge=16, le=192)] = 64
    """Distance between eyes and mouth at the scale of the crop, pixels; 64 is about that of
    published LRW crops, more is a tighter crop."""
    smoothing_window: PositiveInt = 5
    """Frames over which landmarks are averaged, centred on each; an odd number, 1: off."""

    @model_validator(mode="after")
    def window_is_centred(self):
        if self.smoothing_window % 2 == 0:
            raise ValueError(
                f"crops.smoothing_window is {self.smoothing_window}; take an odd number of frames"
            )
        return self

    @model_validator(mode="after")
    def weights_belong_to_the_detector(self):
        given = (self.detector_weights, self.detector_sha256)
        if self.detector == "resnet50" and not all(given):
            raise ValueError(
                "crops.detector resnet50 needs crops.detector_weights, a file with the ResNet-50 "
                "weights of retinaface-pytorch, and crops.detector_sha256, what `sha256sum` says "
                "of that file; or take crops.detector: mobilenet0.25"
            )
        if self.detector != "resnet50" and any(given):
            raise ValueError(
                "crops.detector_weights and crops.detector_sha256 are for crops.detector: resnet50 "
                f"only; {self.detector} brings its own weights: make both null"
            )
        return self
