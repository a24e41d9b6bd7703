"""Numbers between host and GPU without one waiting for the other; on a CPU, where nothing waits, plain copies."""

from __future__ import annotations

import torch
from torch import Tensor


def send(values: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; the host goes on while it is copied."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


class Later:
    """Numbers on their way to the host; the device goes on working, and the host may as well.

    Args:
        values: any shape, without gradient from here on.
    """

    def __init__(self, values: Tensor) -> None:
        values = values.detach().float()
        self._there: torch.cuda.Event | None = None
        if values.is_cuda:
            self._values = torch.empty(values.shape, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._there = torch.cuda.Event()
            self._there.record()
        else:
            self._values = values.clone()

    def read(self) -> Tensor:
        """The numbers, fp32. Waits for them, and for nothing that the device was given to do after them."""
        if self._there is not None:
            self._there.synchronize()
        return self._values
