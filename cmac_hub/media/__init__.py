"""The only modules that open media files; they know no network. Times are seconds on the container's own clock."""

from cmac_hub.media.audio import read_audio
from cmac_hub.media.frames import Frame, YUVFrame, read_frame, read_frames, read_yuv_frames
from cmac_hub.media.info import MediaInfo, as_info, probe
from cmac_hub.media.reader import windows
from cmac_hub.media.save import write_audio, write_video
from cmac_hub.media.tee import Tee
from cmac_hub.media.writer import VideoWriter
from cmac_hub.media.yuv import YUV

__all__ = [
    "YUV",
    "Frame",
    "MediaInfo",
    "Tee",
    "VideoWriter",
    "YUVFrame",
    "as_info",
    "probe",
    "read_audio",
    "read_frame",
    "read_frames",
    "read_yuv_frames",
    "windows",
    "write_audio",
    "write_video",
]
