"""Augmentation. Clips are changed one by one as uint8 in the workers, spectrograms in whole batches on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchaudio.functional import mask_along_axis_iid
from torchvision.transforms.v2 import functional as vision

ZOOM = 1.25
"""Largest short side that is cropped from, as a multiple of the crop: the usual 128 to 160 pixels."""

JITTER, HUE = 0.4, 0.1
"""Brightness, contrast and saturation change by factors of 1 - JITTER to 1 + JITTER, hue by -HUE to HUE turns."""

GRAY_C = np.array([0.299, 0.587, 0.114])
"""Luma of red, green and blue (ITU-R BT.601)."""


@dataclass(frozen=True)
class ClipAugmentation:
    """Random square crop, horizontal flip and, if wished, color jitter; the same for all frames of a clip.

    Args:
        size: side of the crop in pixels.
        jitter: change brightness, contrast, saturation and hue.
    """

    size: int
    jitter: bool = False

    def __call__(self, frames_THWC: np.ndarray, rng: np.random.Generator) -> Tensor:
        """(T, H, W, 3) uint8 of any size -> (T, size, size, 3) uint8."""
        frames_TCHW = torch.from_numpy(frames_THWC).permute(0, 3, 1, 2)
        # A crop of `size` from frames whose short side is up to ZOOM times as long, in one step of resizing.
        side = max(1, int(min(frames_TCHW.shape[2:]) / rng.uniform(1.0, ZOOM)))
        top, left = (int(rng.integers(n - side + 1)) for n in frames_TCHW.shape[2:])
        cut_TCHW = vision.resized_crop(frames_TCHW, top, left, side, side, [self.size, self.size], antialias=True)
        if rng.random() < 0.5:
            cut_TCHW = vision.horizontal_flip(cut_TCHW)
        cut_THWC = cut_TCHW.permute(0, 2, 3, 1).contiguous()
        if not self.jitter:
            return cut_THWC
        brightness, contrast, saturation = rng.uniform(1 - JITTER, 1 + JITTER, 3)
        return change_color(cut_THWC, brightness, contrast, saturation, rng.uniform(-HUE, HUE))


def change_color(frames_THWC: Tensor, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Colors of a whole clip, in one product with a matrix: torchvision's `ColorJitter` takes several times as long.

    Args:
        frames_THWC: (T, H, W, 3) uint8 RGB.
        brightness: factor of all values.
        contrast: factor of the distance to the clip's mean gray.
        saturation: factor of the distance to each pixel's own gray.
        hue: turns of the color circle, as a rotation in the plane of equal luma; grays stay.

    Returns:
        (T, H, W, 3) uint8.
    """
    turn = -2 * np.pi * hue
    to_yiq = np.array([GRAY_C, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    rotation = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    saturate = saturation * np.eye(3) + (1 - saturation) * np.ones((3, 1)) * GRAY_C
    matrix = brightness * contrast * np.linalg.inv(to_yiq) @ rotation @ to_yiq @ saturate
    mean_C = torch.stack([frame.float().mean((0, 1)) for frame in frames_THWC]).mean(0)
    gray = (1 - contrast) * brightness * float(mean_C.double() @ torch.from_numpy(GRAY_C))
    matrix_CC, offset_C = torch.from_numpy(matrix.T.astype(np.float32)), torch.full((3,), gray)
    changed = torch.empty_like(frames_THWC)
    # Frame by frame, so that the numbers stay in the cache.
    for before, after in zip(frames_THWC.flatten(1, 2), changed.flatten(1, 2), strict=True):
        after.copy_(torch.addmm(offset_C, before.float(), matrix_CC).round_().clamp_(0, 255))
    return changed


def augment_spectrograms(spectrograms_BCFS: Tensor, *, seed: int, time_warp: int, mask_share: float) -> Tensor:
    """SpecAugment (Park et al. 2019): time warping, one frequency mask and one time mask a spectrogram.

    Args:
        spectrograms_BCFS: (B, 1, F, S), normalized, so that a mask is filled with 0.
        seed: the same seed gives the same augmentation, whatever came before.
        time_warp: spectrogram frames by which a moment is moved at most; 0 leaves time alone.
        mask_share: widest mask as a share of F and of S; 0 masks nothing.

    Returns:
        a new (B, 1, F, S).
    """
    with torch.random.fork_rng(devices=[spectrograms_BCFS.device] if spectrograms_BCFS.is_cuda else []):
        torch.manual_seed(seed)
        if time_warp > 0:
            spectrograms_BCFS = warp_time(spectrograms_BCFS, time_warp)
        if mask_share > 0:
            for axis in (2, 3):
                widest = max(1, round(mask_share * spectrograms_BCFS.shape[axis]))
                spectrograms_BCFS = mask_along_axis_iid(spectrograms_BCFS, widest, 0.0, axis)
    return spectrograms_BCFS


def mix_sounds(waveforms_BN: Tensor, *, seed: int, share: float) -> Tensor:
    """Adds to some waveforms the next one of the batch, 5 to 20 dB below theirs: a sound whose source is elsewhere.

    Args:
        waveforms_BN: (B, n) float in [-1, 1].
        seed: the same seed gives the same mixtures.
        share: of the waveforms that get one.

    Returns:
        a new (B, n) in [-1, 1].
    """
    if not share or len(waveforms_BN) < 2:
        return waveforms_BN
    rng = np.random.default_rng(seed)
    chosen_B1 = torch.from_numpy(rng.random(len(waveforms_BN)) < share)[:, None]
    gain_B1 = torch.from_numpy(10 ** (-rng.uniform(5, 20, len(waveforms_BN)) / 20)).float()[:, None]
    other_BN = waveforms_BN.roll(1, 0)
    level_B1, other_level_B1 = (one.square().mean(1, keepdim=True).sqrt() for one in (waveforms_BN, other_BN))
    added_BN = other_BN * gain_B1 * level_B1 / other_level_B1.clamp(min=1e-4)
    return torch.where(chosen_B1.to(waveforms_BN.device), waveforms_BN + added_BN, waveforms_BN).clamp(-1, 1)


def warp_time(spectrograms_BCFS: Tensor, most: int) -> Tensor:
    """Moves one random moment of each spectrogram by up to `most` frames; what lies around it stretches linearly.

    torchaudio has no time warping. `most` is kept below a quarter of S.
    """
    b, _, _, s = spectrograms_BCFS.shape
    most = min(most, (s - 1) // 4)
    if most < 1:
        return spectrograms_BCFS
    device = spectrograms_BCFS.device
    target_B1 = most + 1 + torch.rand(b, 1, device=device) * (s - 3 - 2 * most)
    source_B1 = target_B1 + (2 * torch.rand(b, 1, device=device) - 1) * most
    place_1S = torch.arange(s, device=device, dtype=torch.float32)[None]
    before_BS = place_1S * source_B1 / target_B1
    after_BS = source_B1 + (place_1S - target_B1) * (s - 1 - source_B1) / (s - 1 - target_B1)
    asked_BS = torch.where(place_1S < target_B1, before_BS, after_BS)
    low_BS = asked_BS.floor().long().clamp(0, s - 1)
    share_B11S = (asked_BS - low_BS)[:, None, None].to(spectrograms_BCFS.dtype)
    low_BCFS, high_BCFS = (
        spectrograms_BCFS.gather(3, i[:, None, None].expand_as(spectrograms_BCFS))
        for i in (low_BS, (low_BS + 1).clamp(max=s - 1))
    )
    return low_BCFS + (high_BCFS - low_BCFS) * share_B11S


def flip_and_gain(frames_THWC: Tensor, waveform_N: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A second view of a composed clip: mirrored or not, padded and cut anew, up to 6 dB softer, with faint noise."""
    pad = frames_THWC.shape[1] // 8
    padded = F.pad(frames_THWC.permute(0, 3, 1, 2).float(), (pad,) * 4, mode="reflect")
    top, left = (int(rng.integers(2 * pad + 1)) for _ in range(2))
    height, width = frames_THWC.shape[1:3]
    view = padded[:, :, top : top + height, left : left + width].round().to(torch.uint8)
    if rng.random() < 0.5:
        view = view.flip(3)
    noise = torch.from_numpy(rng.normal(0, 1e-3, len(waveform_N))).float()
    return view.permute(0, 2, 3, 1).contiguous(), (waveform_N * 10 ** (rng.uniform(-6, 0) / 20) + noise).clamp(-1, 1)
