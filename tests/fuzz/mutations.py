"""Ways to break a file: each takes a generator, the file's bytes and another file's, and gives new bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

Mutation = Callable[[np.random.Generator, bytes, bytes], bytes]

HEADER = 4096
"""Bytes at the beginning in which most of what a file says of itself is."""

WORDS = [0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 100_000, 1_000_000]
"""Numbers at the edges of what fields can hold."""

FIELDS = [
    # Where boxes and chunks hold numbers: name, bytes from its end, how many words of 32 bits follow.
    *[(b"mvhd", 12, 3), (b"mdhd", 12, 2), (b"tkhd", 20, 4), (b"tkhd", 76, 2), (b"elst", 4, 6), (b"stts", 4, 8)],
    *[(b"ctts", 4, 12), (b"stsz", 4, 8), (b"stsc", 4, 8), (b"stco", 4, 6), (b"stss", 4, 4), (b"avc1", 24, 1)],
    *[(b"trun", 4, 8), (b"tfdt", 4, 2), (b"mehd", 4, 2), (b"mp4a", 16, 4), (b"trex", 4, 5)],
    *[(b"avih", 4, 10), (b"strh", 20, 8), (b"strf", 4, 8), (b"fmt ", 4, 4), (b"data", 0, 1), (b"idx1", 0, 8)],
    *[(b"OpusHead", 1, 3), (b"fLaC", 4, 6), (b"OggS", 2, 4), (b"\x2a\xd7\xb1", 1, 1), (b"\x44\x89", 1, 2)],
    *[(b"\xb0\x82", 0, 1), (b"\xba\x82", 0, 1), (b"\xb5\x88", 0, 2), (b"\x9f\x81", 0, 1), (b"\x23\xe3\x83", 0, 2)],
    *[(b"FLV", 2, 2), (b"onMetaData", 0, 20), (b"\x00\x00\x01\xba", 0, 3), (b"\x00\x00\x01\xe0", 2, 4)],
    *[
        (b"\x00\x00\x01\xb3", 0, 2),
        (b"\xa1\xdc\xab\x8c", 12, 16),
        (b"\x91\x07\xdc\xb7", 12, 16),
        (b"\x1f\x43\xb6\x75", 0, 3),
    ],
]
"""Durations, rates, counts, offsets and sizes of ISO, RIFF, Matroska, Ogg, FLAC, FLV, MPEG and ASF files."""


def flip(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Some bytes become others."""
    return _flip(rng, data, len(data))


def flip_header(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    return _flip(rng, data, HEADER)


def flip_tail(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """MP4's header is often at the end."""
    return data[:-HEADER] + _flip(rng, data[-HEADER:], HEADER)


def _flip(rng: np.random.Generator, data: bytes, within: int) -> bytes:
    array = np.frombuffer(data, np.uint8).copy()
    if len(array):
        at = rng.integers(0, min(within, len(array)), int(2 ** rng.uniform(0, 7)))
        array[at] ^= (1 << rng.integers(0, 8, len(at))).astype(np.uint8) if rng.random() < 0.5 else 0xFF
    return array.tobytes()


def cut(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """The end is missing, or the middle, or the beginning."""
    a, b = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return [data[:b], data[:a] + data[b:], data[a:]][rng.integers(3)]


def splice(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Goes on as another file, or has a piece of it inside."""
    a, b = int(rng.integers(0, len(data) + 1)), int(rng.integers(0, len(other) + 1))
    return data[:a] + other[b:] if rng.random() < 0.5 else data[:a] + other[b : b + 2000] + data[a:]


def repeat(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Joined to itself, or a piece comes many times."""
    a, b = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data + data if rng.random() < 0.3 else data[:b] + data[a : a + 500] * int(rng.integers(1, 200)) + data[b:]


def swap_header(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Begins as another file does."""
    length = int(2 ** rng.uniform(3, 12))
    return other[:length] + data[length:]


def reorder(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Two pieces of the same length change places, and with them what lay at the right time."""
    length = int(rng.integers(1, max(2, len(data) // 4)))
    a, b = sorted(rng.integers(0, max(1, len(data) - length), 2).tolist())
    if b - a < length:
        return data[:a] + data[a : a + length][::-1] + data[a + length :]
    return data[:a] + data[b : b + length] + data[a + length : b] + data[a : a + length] + data[b + length :]


def word(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A number of the header becomes an edge of what it can hold."""
    array = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        size = int(rng.choice([1, 2, 4, 8]))
        at = int(rng.integers(0, max(1, min(len(array), HEADER) - size)))
        if rng.random() < 0.4:
            at = max(0, len(array) - size - at)
        _put(rng, array, at, size)
    return bytes(array)


def field(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Numbers of known boxes become edges: durations, rates, sizes, counts, stamps."""
    array = bytearray(data)
    present = [one for one in FIELDS if one[0] in data]
    for _ in range(int(rng.integers(1, 4)) if present else 0):
        name, skip, count = present[rng.integers(len(present))]
        places = [i for i in range(len(data)) if data.startswith(name, i)] if len(data) < 50_000 else [data.find(name)]
        at = places[rng.integers(len(places))] + len(name) + skip + 4 * int(rng.integers(count))
        _put(rng, array, at, 4)
    return bytes(array) if present else word(rng, data, other)


def _put(rng: np.random.Generator, array: bytearray, at: int, size: int) -> None:
    if at + size > len(array):
        return
    value = int(rng.choice(WORDS)) if rng.random() < 0.7 else int(rng.integers(0, 2**32))
    value &= (1 << 8 * size) - 1
    if size == 8 and rng.random() < 0.5:
        value = (1 << 63) - 1 - value
    order = ">" if rng.random() < 0.7 else "<"
    struct.pack_into(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size], array, at, value)


MUTATIONS: list[Mutation] = [
    flip,
    flip_header,
    flip_tail,
    cut,
    splice,
    repeat,
    swap_header,
    reorder,
    word,
    field,
    field,
]
"""`field` twice: what it finds is found by no other."""
