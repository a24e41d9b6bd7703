"""The only room that opens media files. It knows no model. Times are seconds on the container's own clock."""

from cmac_hub.media.picture import Frame, fit_size, read_frame, read_frames
from cmac_hub.media.probe import MediaInfo, probe
from cmac_hub.media.reader import Window, windows
from cmac_hub.media.sound import read_sound
from cmac_hub.media.whole import write_sound, write_video
from cmac_hub.media.writer import VideoWriter

__all__ = [
    "Frame",
    "MediaInfo",
    "VideoWriter",
    "Window",
    "fit_size",
    "probe",
    "read_frame",
    "read_frames",
    "read_sound",
    "windows",
    "write_sound",
    "write_video",
]
