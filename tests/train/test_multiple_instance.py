"""The multiple-instance loss against a slow loop over pictures, sounds and places."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from cmac_hub.model import CMAC
from cmac_hub.train.multiple_instance import best_response, multiple_instance, symmetric
from cmac_hub.train.objective import ObjectiveSettings, objective


@pytest.fixture
def output(tiny_config):
    torch.manual_seed(0)
    config = dataclasses.replace(tiny_config, visual=dataclasses.replace(tiny_config.visual, size=32))
    return CMAC(config).train()(torch.randn(4, 3, 8, 32, 32), torch.randn(4, 1, 64, 40))


def cosine(a, b):
    return float(F.cosine_similarity(a.detach(), b.detach(), dim=0))


def cross_entropy(scores, right, left_out):
    below = sum(math.exp(v) for i, v in enumerate(scores) if i not in left_out)
    return -math.log(math.exp(scores[right]) / below)


def bounded(a, b):
    """Of a direction with a feature that may be weak."""
    a, b = a.detach(), b.detach()
    return float(a @ b) / float(a.norm()) / max(float(b.norm()), 1.5 * math.sqrt(len(b)))


def slow(out, videos, tau, compare=cosine):
    count, loss = len(videos), 0.0
    visual, audio = out.visual.transformed, out.audio.transformed
    for modality in ("visual", "audio"):
        scores = [[0.0] * count for _ in range(count)]
        for b in range(count):
            for k in range(count):
                responses = []
                if modality == "visual":
                    _, _, moments, rows, columns = visual.shape
                    for y in range(rows):
                        for x in range(columns):
                            each = [compare(out.audio.filter[k], visual[b, :, t, y, x]) for t in range(moments)]
                            responses.append(sum(each) / moments)
                else:
                    for f in range(audio.shape[2]):
                        for s in range(audio.shape[3]):
                            responses.append(compare(out.visual.filter[k], audio[b, :, f, s]))
                scores[b][k] = max(responses) / tau
        for n in range(count):
            own = {m for m in range(count) if videos[m] == videos[n] and m != n}
            column = [scores[m][n] for m in range(count)]
            loss += (cross_entropy(scores[n], n, own) + cross_entropy(column, n, own)) / (4 * count)
    return loss


@pytest.mark.parametrize("videos", [[0, 1, 2, 3], [0, 0, 1, 2]])
def test_the_loss_equals_a_slow_loop(output, videos):
    got = multiple_instance(output, torch.tensor(videos), 0.2)
    assert got.item() == pytest.approx(slow(output, videos, 0.2), rel=1e-4)
    got = multiple_instance(output, torch.tensor(videos), 0.2, "bounded")
    assert got.item() == pytest.approx(slow(output, videos, 0.2, bounded), rel=1e-4)


def test_gradients():
    filters, places = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, 5, dtype=torch.float64)
    video = torch.tensor([0, 1, 1])
    assert torch.autograd.gradcheck(
        lambda f, p: symmetric(best_response(f, F.normalize(p, dim=1)), video),
        (filters.requires_grad_(), places.requires_grad_()),
    )


def test_it_falls_when_each_sound_has_its_place_in_its_own_picture_alone():
    one = torch.eye(4)[:, :, None]
    right = symmetric(best_response(torch.eye(4), one) / 0.1, torch.arange(4))
    wrong = symmetric(best_response(torch.eye(4), one.roll(1, 0)) / 0.1, torch.arange(4))
    assert right < 0.01 and wrong > 5


def test_its_weight_adds_it_to_the_objective(output):
    video = torch.arange(4)
    plain, more = (
        objective(output, video),
        objective(output, video, ObjectiveSettings(mil_weight=2.0, temperature=0.07)),
    )
    added = (more.total - plain.total).item()
    assert added == pytest.approx(2 * multiple_instance(output, video, 0.07).item(), rel=1e-4)
