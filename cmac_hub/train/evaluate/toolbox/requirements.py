"""What measuring needs beyond the package itself, asked for before the work begins."""

from __future__ import annotations

from importlib.util import find_spec

from cmac_hub.errors import CMACError


def require_scikit_learn(what: str) -> None:
    """Raises CMACError if scikit-learn is not installed.

    Args:
        what: needs it, as the message's subject.
    """
    if find_spec("sklearn") is None:
        raise CMACError(f"{what} needs scikit-learn; install it: pip install 'cmac-hub[train]'")
