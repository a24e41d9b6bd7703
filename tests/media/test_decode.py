"""Packets of containers that break."""

from __future__ import annotations

from cmac_hub.media.decode import demux_packets


def test_a_stream_that_begins_midway_ends_nothing_else():
    """What PyAV does at the end of an FLV whose header named one stream of two."""

    class Container:
        def demux(self, stream):
            yield from ("first", "last", "flush")
            raise IndexError("list index out of range")

    assert list(demux_packets(Container(), None)) == ["first", "last", "flush"]
