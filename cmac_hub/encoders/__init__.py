"""The two encoders: a clip or a spectrogram in, an unpooled feature map out."""

from cmac_hub.encoders.audio import AudioEncoder
from cmac_hub.encoders.visual import VisualEncoder

__all__ = ["AudioEncoder", "VisualEncoder"]
