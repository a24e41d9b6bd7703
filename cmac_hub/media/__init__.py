"""The only modules that open media files; they know no network. Times are seconds on the container's own clock."""

from cmac_hub.media.audio import read_audio
from cmac_hub.media.frames import Frame, read_frame, read_frames
from cmac_hub.media.info import MediaInfo, as_info, probe
from cmac_hub.media.reader import windows
from cmac_hub.media.save import write_audio, write_video
from cmac_hub.media.writer import VideoWriter

__all__ = [
    "Frame",
    "MediaInfo",
    "VideoWriter",
    "as_info",
    "probe",
    "read_audio",
    "read_frame",
    "read_frames",
    "windows",
    "write_audio",
    "write_video",
]
