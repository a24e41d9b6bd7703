"""A network -> the folder that users get: config, weights, card, licenses, an example, checksums of it all."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from cmac_hub.errors import CheckpointError, CMACError
from cmac_hub.files import make_folder, replacing
from cmac_hub.hub import CONFIG, WEIGHTS, build, checkpoint_hash, save_checkpoint
from cmac_hub.model import CMAC
from cmac_hub.text import read_text
from cmac_hub.train.publish.card import check_figures, read_reports, write_card
from cmac_hub.train.publish.example import EXPECTED, INPUT, check_example, write_example
from cmac_hub.train.publish.licenses import code_license, weights_license

CARD, CODE_LICENSE, WEIGHTS_LICENSE, SUMS = "README.md", "LICENSE", "LICENSE-WEIGHTS", "SHA256SUMS"

FILES = (CONFIG, WEIGHTS, CARD, CODE_LICENSE, WEIGHTS_LICENSE, INPUT, EXPECTED)
"""All that a release holds, beside the checksums of it; what else lies in the folder is nobody's business."""


def write_folder(
    model: CMAC,
    folder: Path,
    *,
    half: bool = False,
    reports: Sequence[Path] = (),
    license_file: Path | None = None,
    repository: str | None = None,
) -> None:
    """Writes `FILES` and their checksums. A card that somebody has written or changed is kept.

    Args:
        model: in eval mode, with all that its config should say.
        folder: made when missing.
        half: store the weights in half precision.
        reports: of evaluations, see `read_reports`; their tables are the card's figures.
        license_file: the text of the weights' license, see `weights_license`.
        repository: "owner/repo" where it will lie, for the card.

    Raises:
        CMACError: a report is none or measured other weights; a card that is kept has figures that no report has; the
            license's text is not known. Nothing is written then.
        OutputError: the folder cannot be written.
    """
    given = read_reports(reports, {checkpoint_hash(model), checkpoint_hash(_rounded(model))})
    texts = {CODE_LICENSE: code_license(), WEIGHTS_LICENSE: weights_license(model.config.license, license_file)}
    card = folder / CARD
    if card.is_file() and _sums(folder).get(CARD) != _sha256(card):
        check_figures(card, given)
    else:
        texts[CARD] = write_card(model, given, repository)
    save_checkpoint(model, make_folder(folder), half=half)
    for name, text in texts.items():
        with replacing(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    released = build(folder, CMAC)
    try:
        # The last digits of features are another's each time; what need not change is not uploaded again.
        check_example(released, folder)
    except CMACError:
        write_example(released, folder)
        check_example(released, folder)
    with replacing(folder / SUMS) as path:
        path.write_text("".join(f"{_sha256(folder / name)}  {name}\n" for name in FILES), encoding="utf-8")


def check_folder(folder: Path) -> None:
    """Raises CheckpointError where a file of a release is missing, or is not what its checksum says."""
    sums = _sums(folder)
    for name in FILES:
        if not (folder / name).is_file() or sums.get(name) != _sha256(folder / name):
            raise CheckpointError(f"{folder / name} is not what {SUMS} says; release the folder again")


def _rounded(model: CMAC) -> CMAC:
    """The network as it is loaded from weights in half precision."""
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in rounded.state_dict().values():
            if tensor.ndim > 1:
                tensor.copy_(tensor.half())
    return rounded


def _sums(folder: Path) -> dict[str, str]:
    """File -> checksum, as the last release wrote them; empty where there was none."""
    if not (folder / SUMS).is_file():
        return {}
    pairs = (line.split("  ", 1) for line in read_text(folder / SUMS).splitlines())
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
