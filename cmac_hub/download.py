"""A repository on the Hub -> a folder with its config and weights, in the cache of the Hub's client.

The client itself obeys HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE. It compares the sizes of files; that their
content is what the Hub has is checked here, each time, as a disk may also lose it later.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import getproxies

from cmac_hub.config import DEFAULT_NETWORK
from cmac_hub.errors import CheckpointError, one_line
from cmac_hub.version import __version__

CONFIG, WEIGHTS = "config.json", "model.safetensors"

COMMIT = re.compile("[0-9a-f]{40}")
"""A full commit: it never changes."""


def download(
    repository: str,
    revision: str | None,
    cache_dir: str | Path | None,
    token: str | bool | None,
    local_files_only: bool,
) -> Path:
    """Both files at one commit, even of a branch that moves meanwhile.

    Raises:
        CheckpointError: there is no such repository, revision or file, it is gated, the Hub cannot be reached and the
            cache does not have it, the disk is full, or what came is not what the Hub has.
    """
    # Here, because its client takes longer to load than a network that lies in the package.
    from huggingface_hub import HfApi, constants, errors, snapshot_download

    how: dict[str, Any] = {
        "revision": revision,
        "cache_dir": cache_dir,
        "token": token,
        "allow_patterns": [CONFIG, WEIGHTS],
        "library_name": "cmac_hub",
        "library_version": __version__,
    }
    offline = local_files_only or constants.HF_HUB_OFFLINE
    try:
        if not offline and COMMIT.fullmatch(revision or ""):
            # The client asks for a commit's files six times, for half a minute; whether there is a Hub is asked once.
            if _is_cached(repository, how):
                offline = True
            else:
                HfApi(token=token).repo_info(repository, revision=revision)
        folder = Path(snapshot_download(repository, local_files_only=offline, **how))
    except errors.GatedRepoError as error:
        raise CheckpointError(f"{repository} is gated; ask for access on its page and log in: hf auth login") from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"the Hub has no repository {repository}, or it is private; check it or pass a token "
            f"(nor is there a folder {repository} here)"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"{repository} has no revision {revision!r}; check its branches and tags") from error
    except errors.LocalEntryNotFoundError as error:
        reached = f"the Hub was not reached{_why(error)}"
        if offline:
            asked = "local_files_only" if local_files_only else "HF_HUB_OFFLINE"
            reached = f"no network was to be used ({asked})"
        raise CheckpointError(
            f"{reached}, and {repository} is not in the cache; "
            f"connect once, or use {DEFAULT_NETWORK} (nor is there a folder {repository} here)"
        ) from error
    except Exception as error:
        # Of the transport below the Hub's client too: proxies, connections that break off.
        raise CheckpointError(f"{repository} could not be fetched: {_cause(error)}") from error
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"{repository} has no {name}; only safetensors are loaded, never pickles")
        _check_hash(folder / name, repository)
    return folder


def _is_cached(repository: str, how: dict[str, Any]) -> bool:
    from huggingface_hub import errors, snapshot_download

    try:
        folder = Path(snapshot_download(repository, local_files_only=True, **how))
    except errors.LocalEntryNotFoundError:
        return False
    return all((folder / name).is_file() for name in (CONFIG, WEIGHTS))


def _check_hash(path: Path, repository: str) -> None:
    """The cache names a file by the hash that the Hub told: SHA-256 of a large one, Git's of a small one.

    A file that has another is removed, so that it is fetched again. Where the cache holds no links, nothing is known.
    """
    blob = path.resolve()
    if not path.is_symlink() or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", blob.name):
        return
    digest = hashlib.sha256() if len(blob.name) == 64 else hashlib.sha1(b"blob %d\0" % blob.stat().st_size)
    with blob.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    if digest.hexdigest() == blob.name:
        return
    for one in (path, blob):
        with suppress(OSError):
            one.unlink()
    kept = f"it could not be removed: delete {blob}" if blob.exists() else "it was removed; fetch it again"
    raise CheckpointError(
        f"{path.name} of {repository} does not have the hash that the Hub tells, so it was cut or changed on the way "
        f"or on this disk; {kept}"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came from."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _cause(error: BaseException) -> str:
    """Why a download failed, and what to do."""
    if any(isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT) for one in _causes(error)):
        return "the disk is full; make room, or choose another cache with cache_dir or HF_HOME (--cache-dir)"
    text = one_line(error)
    if "Consistency check failed" in text:
        return "a file has another size than the Hub announced; try again, or another revision"
    return f"{text}{_proxy()}"


def _why(error: BaseException) -> str:
    """The first cause of an error of the Hub's client, in brackets; empty where it names none."""
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    return "" if first is error else f" ({one_line(first)}{_proxy()})"


def _proxy() -> str:
    # Its address may hold a password.
    return ", through the proxy that HTTPS_PROXY names" if "https" in getproxies() else ""
