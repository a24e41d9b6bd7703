"""Counts of work that are the same on every run and every machine: operators, copies, bytes, frames, opened files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import av
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cmac_hub.media import decode
from cmac_hub.media.frames import Scaler

VIEWS = {"alias", "detach", "expand", "permute", "select", "slice", "squeeze", "t", "transpose", "unsqueeze", "view"}
VIEWS |= {"_unsafe_view", "as_strided", "split", "unbind", "unfold", "_reshape_alias", "split_with_sizes", "unflatten"}

COPIES = {"_to_copy", "cat", "clone", "constant_pad_nd", "copy_", "index", "stack", "contiguous", "_reshape_copy"}


@dataclass
class Work:
    """What some code did."""

    operators: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    """Bytes at most of the tensors that were made and alive at once, after an operator."""
    opened: int = 0
    """Files, by FFmpeg."""
    decoded: int = 0
    """Frames of video."""
    scaled: int = 0
    """Frames that were made RGB."""

    @property
    def kernels(self) -> int:
        """Operators that compute or copy: all but views."""
        return sum(count for name, count in self.operators.items() if name not in VIEWS)

    @property
    def copies(self) -> int:
        """Operators that move bytes alone."""
        return sum(self.operators[name] for name in COPIES)


class _Counting(TorchDispatchMode):
    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self._work.operators[function.overloadpacket.__name__] += 1
        given = {one.untyped_storage()._cdata for one in tree_leaves((args, kwargs)) if _has_storage(one)}
        for one in tree_leaves(result):
            if _has_storage(one) and (storage := one.untyped_storage())._cdata not in given:
                self._alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._alive = {key: value for key, value in self._alive.items() if not value[0].expired()}
        self._work.peak = max(self._work.peak, sum(size for _, size in self._alive.values()))
        return result


def _has_storage(one: object) -> bool:
    return isinstance(one, Tensor) and one.layout == torch.strided


@contextmanager
def counted() -> Iterator[Work]:
    """What the code below does."""
    work = Work()
    packets, scaler, av_open = decode.decode_packets, Scaler.__call__, av.open

    def decode_packets(*arguments: Any) -> Iterator[Any]:
        for frame in packets(*arguments):
            work.decoded += isinstance(frame, av.VideoFrame)
            yield frame

    def scale(self: Scaler, frame: av.VideoFrame) -> Any:
        work.scaled += 1
        return scaler(self, frame)

    def open_file(*arguments: Any, **how: Any) -> Any:
        work.opened += 1
        return av_open(*arguments, **how)

    with (
        patch.object(decode, "decode_packets", decode_packets),
        patch.object(Scaler, "__call__", scale),
        patch.object(av, "open", open_file),
        _Counting(work),
    ):
        yield work
