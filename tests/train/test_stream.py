import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub.train.recipe import Recipe, RecipeError
from cmac_hub.train.stream import Pair, PairStream, next_batch
from cmac_hub.train.videos.pairs import SilentError


class Numbers:
    """A source whose pairs tell their own number."""

    videos = None

    def pair(self, index, view=0):
        return Pair(torch.tensor([index]), torch.tensor([float(view)]), index, 0)


def rows(recipe, count, step=0, rank=0, processes=1):
    stream = iter(PairStream(Numbers(), recipe, step, rank, processes))
    return [next(stream) for _ in range(count)]


@given(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2]), st.integers(0, 5), st.booleans())
def test_all_processes_together_have_every_row_once(processes, accumulate, step, two_clips):
    recipe = Recipe(batch=16, accumulate=accumulate).replace(within_positives=two_clips)
    share = 2 * 16 // processes
    seen = [
        (int(pair.frames[0]), int(pair.waveform[0]))
        for rank in range(processes)
        for pair in rows(recipe, share, step, rank, processes)
    ]
    views = recipe.clips_per_video
    expected = [(row // views, row % views) for row in range(step * 16, (step + 2) * 16)]
    assert sorted(seen) == sorted(expected)


def test_a_micro_batch_holds_both_clips_of_its_videos():
    recipe = Recipe(batch=8, accumulate=2).replace(within_positives=True)
    assert [(p.video, int(p.waveform[0])) for p in rows(recipe, 4)] == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_number_of_workers_changes_nothing(workers):
    recipe = Recipe(batch=6, accumulate=2, workers=workers)
    batches = iter(PairStream(Numbers(), recipe, step=3).loader())
    assert [next(batches).video.tolist() for _ in range(3)] == [[18, 19, 20], [21, 22, 23], [24, 25, 26]]


class Held(Numbers):
    """A source of which there is to be one."""

    def __reduce__(self):
        raise AssertionError("a worker wants a copy")


@pytest.mark.usefixtures("copying")
def test_workers_share_the_source_also_where_python_would_copy_it():
    assert next_batch(iter(PairStream(Held(), Recipe(batch=2, workers=1)).loader())).video.tolist() == [0, 1]


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(RecipeError, match="a batch of 10 cannot be shared by 4 processes"):
        PairStream(Numbers(), Recipe(batch=10), processes=4)


class Broken(Numbers):
    """A source whose pairs cannot be read."""

    def pair(self, index, view=0):
        raise SilentError("a.mp4 is silent: 3 of 3")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_worker_is_what_it_was_and_one_line(workers):
    batches = iter(PairStream(Broken(), Recipe(batch=2, workers=workers)).loader())
    with pytest.raises(SilentError) as caught:
        next_batch(batches)
    assert str(caught.value) == "a.mp4 is silent: 3 of 3"
