"""Whose checkpoints are read, and what each of their names is here: facts of their public code, as one table.

torchvision: R(2+1)D-18, names stem.*, layer1.* to layer4.*, fc.*; shown 16 frames of 112 pixels at 15 a second.
gdt: R(2+1)D-18 and ResNet-9, names video_network.base.*, audio_network.base.*, mlp_*; shown 30 frames of 112 pixels and
40 mel bands, in 1 s.
avid: an R(2+1)D-18 with a stem and blocks of its own, four plain blocks of 2D, names video_model.*, audio_model.*,
*_proj.*; shown 8 frames of 224 pixels at 16 a second and 2 s of a linear spectrogram, time before frequency.
xdc: R(2+1)D-18 of VMZ (`cmac_hub.encoders.vmz`), names stem.*, layer1.* to layer4.*; shown 32 frames of 224 pixels at
30 a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cmac_hub.config import CMACConfig
from cmac_hub.encoders import R2Plus1DConfig, ResNet9Config
from cmac_hub.encoders.avid import AVIDAudioConfig, AVIDVisualConfig
from cmac_hub.encoders.vmz import R2Plus1DVMZConfig

Names = tuple[tuple[str, str], ...]
"""Pattern of a name of theirs -> the name here, or nothing for what is not taken over."""


@dataclass(frozen=True)
class Origin:
    """Who published a kind of checkpoint."""

    paper: str
    code: str
    license: str
    """Of their weights, as their repository says."""
    config: CMACConfig
    """Of the whole network; a checkpoint may lack one of the encoders."""
    names: Names
    turned: str = ""
    """Pattern of kernels (here) whose last two axes change places: theirs put time before frequency."""
    differs: Mapping[str, str] = field(default_factory=dict)
    """How each stream's treatment there differs from what it is given here."""

    def rename(self, name: str) -> str | None:
        """The name here; None for what is not taken over.

        Raises:
            KeyError: no such name is known.
        """
        for pattern, ours in self.names:
            if found := re.fullmatch(pattern, name):
                return found.expand(ours) or None
        raise KeyError(name)


VIDEO_RESNET: Names = ((r"(stem|layer[1-4])\.(.+)", r"visual_encoder.\1.\2"), (r"fc\.(weight|bias)", ""))

GDT: Names = (
    (r"video_network\.base\.(stem|layer[1-4])\.(.+)", r"visual_encoder.\1.\2"),
    (r"audio_network\.base\.conv1\.(.+)", r"audio_encoder.stem.0.\1"),
    (r"audio_network\.base\.bn1\.(.+)", r"audio_encoder.stem.1.\1"),
    (r"audio_network\.base\.(layer[1-4])\.0\.conv([12])\.(.+)", r"audio_encoder.\1.conv\2.0.\3"),
    (r"audio_network\.base\.(layer[1-4])\.0\.bn([12])\.(.+)", r"audio_encoder.\1.conv\2.1.\3"),
    (r"audio_network\.base\.(layer[1-4])\.0\.downsample\.(.+)", r"audio_encoder.\1.downsample.\2"),
    (r"audio_network\.base\.fc\.(weight|bias)", ""),
    (r"(mlp_[avt]|text_network)\..+", ""),
)


def _avid() -> Names:
    block = {
        r"spt_conv([12])": r"space\3.0",
        r"spt_bn([12])": r"space\3.1",
        r"tmp_conv(1)": r"time\3.0",
        r"tmp_bn(1)": r"time\3.1",
        r"tmp_conv(2)": r"time\3",
        r"(out_bn)": r"norm",
        r"(res_conv)": r"shortcut",
    }
    names = [(r"video_model\.conv1\.([01])\.(.+)", r"visual_encoder.stem.\1.\2")]
    for stage in range(1, 5):
        names += [
            (rf"video_model\.(conv{stage + 1}x)\.(\d)\.{theirs}\.(.+)", rf"visual_encoder.layer{stage}.\2.{ours}.\4")
            for theirs, ours in block.items()
        ]
    names += [(r"audio_model\.conv1\.([01])\.(.+)", r"audio_encoder.stem.\1.\2")]
    for theirs, ours in {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4}.items():
        names += [(rf"audio_model\.block([1-4])\.{theirs}\.(.+)", rf"audio_encoder.layer\1.{ours}.\2")]
    return (*names, (r"(video_proj|audio_proj)\..+", ""))


ORIGINS = {
    "torchvision": Origin(
        paper="https://arxiv.org/abs/1711.11248",
        code="https://github.com/pytorch/vision",
        license="bsd-3-clause",
        config=CMACConfig(
            name="torchvision-r2plus1d-18", visual=R2Plus1DConfig(frames=16, size=112), audio=None, attention=None
        ),
        names=VIDEO_RESNET,
    ),
    "gdt": Origin(
        paper="https://arxiv.org/abs/2003.04298",
        code="https://github.com/facebookresearch/GDT",
        license="cc-by-nc-4.0",
        config=CMACConfig(
            name="gdt",
            visual=R2Plus1DConfig(frames=30, size=112),
            # Their bands are of 16-bit samples, in windows without a taper, and normalized by 1.93 and 17.89.
            audio=ResNet9Config(n_fft=1024, n_mels=40, log_floor=1e-22, mean=-12.91, std=17.89, stem_pool=True),
            attention=None,
        ),
        names=GDT,
        differs={"audio": "its spectrograms had a pre-emphasis, and windows without a taper"},
    ),
    "avid": Origin(
        paper="https://arxiv.org/abs/2004.12943",
        code="https://github.com/facebookresearch/AVID-CMA",
        license="cc-by-nc-4.0",
        config=CMACConfig(
            name="avid-cma",
            visual=AVIDVisualConfig(
                frames=16, size=224, multiple=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
            ),
            audio=AVIDAudioConfig(),
            attention=None,
        ),
        names=_avid(),
        turned=r"audio_encoder\..+\.weight",
        differs={
            "visual": "its features were its maps' maxima, here they are their means",
            "audio": "its spectrograms were linear in frequency, each band normalized by itself",
        },
    ),
    "xdc": Origin(
        paper="https://arxiv.org/abs/1911.12667",
        code="https://github.com/HumamAlwassel/XDC",
        license="mit",
        config=CMACConfig(name="xdc", visual=R2Plus1DVMZConfig(frames=32, size=224), audio=None, attention=None),
        names=VIDEO_RESNET,
    ),
}
