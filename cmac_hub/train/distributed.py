"""Several processes that train one network: `torchrun --nproc-per-node 8 -m cmac_hub.train pretrain ...`.

Plain DistributedDataParallel, because what is special here (keys gathered for the bank, negatives gathered with their
gradient) has to be said by hand anyway, and one loop stays readable without another library's wrappers.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from cmac_hub.errors import CMACError, is_expected, one_line

PATIENCE = timedelta(hours=4)
"""How long processes wait for the first one, which measures networks on its own; torchrun ends them if it fails."""


class World(NamedTuple):
    """This process among all."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def first(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def gather(self, values: Tensor) -> Tensor:
        """(N, ...) of this process -> (size * N, ...) of all, in the order of ranks, without gradient."""
        if self.size == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def gather_with_gradient(self, values: Tensor) -> Tensor:
        """As `gather`, and gradients flow back to the process that a row is from."""
        return values if self.size == 1 else torch.cat(list(all_gather(values.contiguous())))

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes of a tensor without gradient."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def any(self, flag: bool) -> bool:
        """Whether any process says so: all take the same turn."""
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0) if self.size > 1 else flag


def pick_device(device: str | None = None) -> torch.device:
    """A device by name; None takes a GPU where there is one, each process of torchrun its own.

    Raises:
        CMACError: torch knows no such device, or cannot use it here.
    """
    try:
        kind = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if kind.type == "cuda" and kind.index is None:
            kind = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.empty(0, device=kind)
        if kind.type == "meta":
            raise RuntimeError("it computes nothing")
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CMACError(f"the device {device!r} cannot be used ({reason}); 'cpu' always can") from error
    return kind


@contextmanager
def join_world(device: str | None = None) -> Iterator[World]:
    """Joins the processes that torchrun started, if it did, and leaves them at the end.

    Where one of several processes fails on a GPU it says why and exits at once, and torchrun ends the others.

    Args:
        device: see `pick_device`.
    """
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    kind = pick_device(device)
    if kind.type == "cuda":
        # Pinned memory and whatever names no device use the current one: without this all ranks crowd on the first.
        torch.cuda.set_device(kind)
    if size == 1:
        yield World(0, 1, kind)
        return
    if kind.type == "cuda":
        dist.init_process_group("nccl", device_id=kind, timeout=PATIENCE)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield World(rank, size, kind)
    except BaseException as error:
        if kind.type == "cuda":
            # The others stand in a collective; leaving NCCL's group would wait for them, and they wait for this one.
            _exit_at_once(error, rank)
        raise
    finally:
        dist.destroy_process_group()


def _exit_at_once(error: BaseException, rank: int) -> NoReturn:
    if is_expected(error) or isinstance(error, KeyboardInterrupt):
        print(f"cmac_hub.train: process {rank}: {one_line(error)}", file=sys.stderr)
    else:
        traceback.print_exception(error)
    sys.stderr.flush()
    os._exit(1)
