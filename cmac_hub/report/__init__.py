"""One page for many videos, to be read instead of watched: `cmac localize --report`.

The page is one HTML file that needs nothing beside it and runs no script. Videos are written to it one by one, so that
ten thousand take no more memory than one.
"""

from cmac_hub.report.page import About, Report, writing_report
from cmac_hub.report.thumbnail import Hottest
from cmac_hub.report.video import Video

__all__ = ["About", "Hottest", "Report", "Video", "writing_report"]
