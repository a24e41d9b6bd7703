import signal

import pytest
import torch

from cmac_hub.errors import CMACError
from cmac_hub.train.interrupts import out_of_memory_hint
from cmac_hub.train.pretrain import pretrain


def test_want_of_memory_is_one_line_that_says_what_to_change():
    with pytest.raises(CMACError, match="--set accumulate=2"), out_of_memory_hint():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    with pytest.raises(CMACError, match="--shm-size"), out_of_memory_hint():
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's "
                           "workers are out of shared memory.")  # fmt: skip
    with pytest.raises(CMACError, match="a data worker was killed"), out_of_memory_hint():
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
    with pytest.raises(RuntimeError, match="Caught"), out_of_memory_hint():
        raise RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback ...")
    with pytest.raises(RuntimeError, match="mat1"), out_of_memory_hint():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_signals_are_the_callers_again_after_a_run(recipe, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    pretrain(recipe.replace(steps=1), None, tmp_path, progress=False)
    assert signal.getsignal(signal.SIGINT) is before
