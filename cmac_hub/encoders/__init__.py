"""The encoders in the package: a clip or a spectrogram in, a feature map out. Importing them registers them."""

from cmac_hub.encoders.avid import AVIDAudio, AVIDAudioConfig, AVIDVisual, AVIDVisualConfig
from cmac_hub.encoders.efficientnet_lite import load_lite0
from cmac_hub.encoders.frame_network import FrameNetwork, FrameNetworkConfig
from cmac_hub.encoders.frames import FrameEncoder
from cmac_hub.encoders.r2plus1d import R2Plus1D, R2Plus1DConfig
from cmac_hub.encoders.resnet9 import ResNet9, ResNet9Config
from cmac_hub.encoders.timm_trunk import load_timm
from cmac_hub.encoders.vmz import R2Plus1DVMZ, R2Plus1DVMZConfig

__all__ = [
    "AVIDAudio",
    "AVIDAudioConfig",
    "AVIDVisual",
    "AVIDVisualConfig",
    "FrameEncoder",
    "FrameNetwork",
    "FrameNetworkConfig",
    "R2Plus1D",
    "R2Plus1DConfig",
    "R2Plus1DVMZ",
    "R2Plus1DVMZConfig",
    "ResNet9",
    "ResNet9Config",
    "load_lite0",
    "load_timm",
]
