import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmac_hub.train.evaluate.toolbox.metrics import (
    SIDE,
    as_table,
    auc,
    box_mask,
    centered_disc,
    consensus_mask,
    intersection_over_union,
    paired_interval,
    resize_map,
    rivals,
    score_disc,
    score_maps,
    upper_half,
)


def slow_scores(heats, boxes):
    """cIoU, AUC and pointing, pixel by pixel."""
    cious, hits = [], []
    for heat, found in zip(heats, boxes, strict=True):
        big = resize_map(heat)
        median = sorted(big.ravel().tolist())[SIDE * SIDE // 2]
        both = either = 0
        for y, x in itertools.product(range(SIDE), range(SIDE)):
            inside = any(
                int(a * SIDE) <= x < int(c * SIDE) and int(b * SIDE) <= y < int(d * SIDE) for a, b, c, d in found
            )
            chosen = big[y, x] >= median
            both, either = both + (inside and chosen), either + (inside or chosen)
        cious.append(both / either)
        best = max(np.ndindex(heat.shape), key=lambda at: heat[at])
        y, x = ((i + 0.5) / n for i, n in zip(best, heat.shape, strict=True))
        hits.append(any(a <= x < c and b <= y < d for a, b, c, d in found))
    area = 0.0
    for k in range(20):
        low, high = (sum(c >= 0.05 * i - 1e-12 for c in cious) / len(cious) for i in (k, k + 1))
        area += 0.05 * (low + high) / 2
    return sum(c >= 0.5 for c in cious) / len(cious), area, sum(cious) / len(cious), sum(hits) / len(hits)


def test_scores_equal_a_slow_loop():
    rng = np.random.default_rng(0)
    heats = [rng.random((8, 8)) for _ in range(3)]
    boxes = [[(0.1, 0.2, 0.6, 0.9)], [(0.0, 0.0, 1.0, 1.0)], [(0.5, 0.5, 0.75, 0.8), (0.1, 0.0, 0.3, 0.4)]]
    found = score_maps(heats, [box_mask(one) for one in boxes])
    np.testing.assert_allclose(found[:4], slow_scores(heats, boxes), atol=1e-9)


def test_the_median_rule_takes_ties_and_at_least_half():
    constant = np.zeros((SIDE, SIDE))
    assert upper_half(constant).all(), ">=, so a constant map takes everything"
    ramp = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    assert upper_half(ramp).sum() == SIDE * SIDE // 2
    assert intersection_over_union(np.zeros(3, bool), np.zeros(3, bool)) == 0


def test_auc_of_all_right_and_all_wrong():
    assert auc(np.ones(4)) == pytest.approx(1.0)
    assert auc(np.zeros(4)) == pytest.approx(0.025), "a threshold of 0 is always reached"


def test_boxes_beyond_the_edge_are_cut():
    assert box_mask([(-0.1, 0.5, 0.5, 1.2)]).sum() == 112 * 112


def test_the_trivial_rivals_of_vgg_ss_come_out_as_published(shared):
    """cIoU@0.5 and AUC; the noise depends on its seed."""
    rows = json.loads((shared / "annotations" / "vggss.json").read_text())
    found = rivals([box_mask(row["bbox"]) for row in rows])
    for name, ciou, area, tolerance in (
        ("centered disc", 34.0, 37.5, 0.2),
        ("whole image", 22.0, 31.3, 0.2),
        ("random map", 1.3, 22.1, 0.5),
        ("ceiling", 50.6, 49.5, 0.2),
    ):
        assert 100 * found[name].ciou == pytest.approx(ciou, abs=tolerance)
        assert 100 * found[name].auc == pytest.approx(area, abs=tolerance)
    assert 100 * found["centered disc"].pointing == pytest.approx(69.5, abs=0.1)
    assert as_table(found).count("\n") == 5


def test_the_disc_covers_half():
    assert centered_disc().mean() == pytest.approx(0.5, abs=0.002)


def test_what_is_no_map():
    with pytest.raises(ValueError, match="no map to score"):
        score_maps([], [])
    with pytest.raises(ValueError, match="not finite"):
        score_maps([np.array([[np.nan]])], [box_mask([])])


@settings(max_examples=20)
@given(seed=st.integers(0, 99))
def test_what_two_of_three_people_drew_counts_in_full_and_one_alone_by_half(seed):
    """Senocak et al.: g = min(sum of boxes / 2, 1); cIoU = sum(A g) / (sum g + sum of A where g is 0)."""
    rng = np.random.default_rng(seed)
    corners = [np.sort(rng.random((2, 2)), axis=0) for _ in range(3)]
    boxes = [(float(c[0, 0]), float(c[0, 1]), float(c[1, 0]), float(c[1, 1])) for c in corners]
    heat = rng.random((8, 8)).astype(np.float32)
    found = upper_half(resize_map(heat))
    consensus = consensus_mask(boxes)
    inside = outside = weight = 0.0
    for y in range(0, 224, 8):
        for x in range(0, 224, 8):
            drawn = sum(int(x0 * 224) <= x < int(x1 * 224) and int(y0 * 224) <= y < int(y1 * 224)
                        for x0, y0, x1, y1 in boxes)  # fmt: skip
            g = min(drawn / 2, 1)
            assert consensus[y, x] == g
            weight += g
            inside += g * found[y, x]
            outside += found[y, x] and g == 0
    expected = inside / (weight + outside) if weight + outside else 0.0
    assert consensus_mask([]).shape == (SIDE, SIDE) and not consensus_mask([]).any(), "nobody drew a box"
    assert intersection_over_union(found[::8, ::8], consensus[::8, ::8]) == pytest.approx(expected)
    ceiling = rivals([consensus])["ceiling"].mean_ciou
    assert score_maps([heat], [consensus]).mean_ciou <= ceiling + 1e-6


def test_a_paired_interval_is_narrower_than_that_of_either_and_holds_what_was_measured():
    rng = np.random.default_rng(0)
    theirs = rng.random(200)
    value, low, high = paired_interval(theirs + 0.1 + 0.01 * rng.standard_normal(200), theirs)
    assert low < value < high and low == pytest.approx(0.1, abs=0.005) and high - low < 0.01
    assert paired_interval(theirs, theirs) == (0.0, 0.0, 0.0)
    # A share p of n pictures has a standard error of sqrt(p (1 - p) / n), and 95 % lie within 1.96 of it.
    hits = np.arange(100) < 30
    value, low, high = paired_interval(hits.astype(float), np.zeros(100))
    assert value == 0.3 and (high - low) / 2 == pytest.approx(1.96 * np.sqrt(0.3 * 0.7 / 100), rel=0.12)


def test_the_disc_points_at_the_middle():
    assert score_disc([box_mask([(0.4, 0.4, 0.6, 0.6)]), box_mask([(0, 0, 0.3, 0.3)])]).hits_N.tolist() == [1, 0]
