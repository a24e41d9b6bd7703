"""Both licenses of a released folder: LICENSE of the code that reads it, LICENSE-WEIGHTS of what it holds."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from cmac_hub.errors import CMACError
from cmac_hub.text import read_text

CREATIVE_COMMONS = {"by": "Attribution", "nc": "NonCommercial", "sa": "ShareAlike", "nd": "NoDerivatives"}

OTHERS = {
    "mit": ("MIT License", "https://opensource.org/license/mit"),
    "bsd-3-clause": ("BSD 3-Clause License", "https://opensource.org/license/bsd-3-clause"),
    "cc0-1.0": ("Creative Commons Zero 1.0 Universal", "https://creativecommons.org/publicdomain/zero/1.0/legalcode"),
}
"""The Hub's names of licenses that are not Apache's and not Creative Commons' -> their own, and where they stand."""


def code_license() -> str:
    """The Apache License 2.0, as it came with the package. Raises CMACError where somebody took it out."""
    beside = Path(__file__).parents[3] / "LICENSE"
    if beside.is_file():
        return read_text(beside)
    try:
        text = metadata.distribution("cmac-hub").read_text("licenses/LICENSE")
    except metadata.PackageNotFoundError:
        text = None
    if text is None:
        raise CMACError("the package's own LICENSE is missing, and a release holds it; install the package again")
    return text


def weights_license(license: str, file: Path | None = None) -> str:
    """The text of the weights' license.

    Args:
        license: its name on the Hub, as in the config, e.g. "cc-by-nc-4.0".
        file: its text, where it is none of those that are known.

    Raises:
        CMACError: no such license is known, and no file was given; or the file cannot be read.
    """
    if file is not None:
        try:
            return read_text(file)
        except OSError as error:
            raise CMACError(
                f"{file} cannot be read ({error.strerror}); give the text of the weights' license"
            ) from error
    if license == "apache-2.0":
        return code_license()
    if (known := _known(license)) is None:
        raise CMACError(
            f"the text of the license {license!r} is not known here; give --license-file FILE, or one of apache-2.0, "
            f"cc-by-4.0, cc-by-nc-4.0, cc-by-sa-4.0, cc-by-nc-sa-4.0, {', '.join(OTHERS)}"
        )
    name, address = known
    return (
        f"The weights in this folder ({license}) are under the\n\n    {name}\n\n"
        f"whose text stands at\n\n    {address}\n\n"
        "They come as they are, without warranty of any kind. LICENSE is that of the code that reads them.\n"
    )


def _known(license: str) -> tuple[str, str] | None:
    if license in OTHERS:
        return OTHERS[license]
    start, *parts, version = license.split("-") if license.count("-") > 1 else ("", "")
    if start != "cc" or version not in ("3.0", "4.0") or not set(parts) <= CREATIVE_COMMONS.keys():
        return None
    words = "-".join(CREATIVE_COMMONS[part] for part in parts)
    kind = "International" if version == "4.0" else "Unported"
    address = f"https://creativecommons.org/licenses/{'-'.join(parts)}/{version}/legalcode"
    return f"Creative Commons {words} {version} {kind}", address
