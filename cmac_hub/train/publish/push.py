"""A released folder -> a repository on the Hub, in one commit: whatever breaks off before it, nothing of it is seen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from cmac_hub.errors import CMACError, one_line
from cmac_hub.hub import REPOSITORY
from cmac_hub.train.publish.folder import FILES, SUMS, check_folder
from cmac_hub.version import __version__


class File(NamedTuple):
    """One that is uploaded."""

    name: str
    size: int
    """Bytes."""


def files_of(folder: Path) -> list[File]:
    """What `push` uploads: a release's own files, whatever else lies beside them.

    Raises:
        CheckpointError: a file is missing or was changed since the release.
    """
    check_folder(folder)
    return [File(name, (folder / name).stat().st_size) for name in (*FILES, SUMS)]


def as_list(files: list[File], repository: str) -> str:
    """For people: each file and its size."""
    width = max(len(f"{one.size:,}") for one in files)
    rows = [f"{one.size:>{width},} bytes  {one.name}" for one in files]
    total = sum(one.size for one in files)
    return "\n".join([*rows, f"{total:,} bytes in {len(files)} files for {repository}"])


def check_repository(repository: str) -> None:
    """Raises CMACError for what is no "owner/repo"."""
    found = REPOSITORY.fullmatch(repository)
    if found is None or found[2] is not None:
        raise CMACError(f"--push got {repository!r}; expected owner/repo (a branch is --revision)")


def push(
    folder: Path,
    repository: str,
    *,
    private: bool = True,
    revision: str | None = None,
    create_pr: bool = False,
    token: str | bool | None = None,
) -> str:
    """Uploads a release; files that the repository has already are not sent again.

    Args:
        folder: of `write_folder`.
        repository: "owner/repo"; made when missing. One that is there stays as private or public as it is.
        private: whether a new repository is.
        revision: a branch, made when missing; default: main.
        create_pr: open a pull request instead.
        token: of the Hub; default: the one that is logged in, or HF_TOKEN.

    Returns:
        the address of the commit, or of the pull request.

    Raises:
        CMACError: the folder is no whole release; nobody is logged in, may not write there, or the Hub was not reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, errors

    check_repository(repository)
    operations = [CommitOperationAdd(one.name, folder / one.name) for one in files_of(folder)]
    api = HfApi(token=token, library_name="cmac_hub", library_version=__version__)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        if revision is not None and not create_pr:
            api.create_branch(repository, branch=revision, exist_ok=True)
        done = api.create_commit(
            repository,
            operations,
            commit_message=f"Release of cmac-hub {__version__}",
            revision=revision,
            create_pr=create_pr,
        )
    except errors.HfHubHTTPError as error:
        raise CMACError(f"{repository} was not uploaded: {_refusal(error)}") from error
    except errors.LocalTokenNotFoundError as error:
        raise CMACError(
            f"{repository} was not uploaded: nobody is logged in; say hf auth login, or set HF_TOKEN"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise CMACError(f"{repository} was not uploaded: HF_HUB_OFFLINE forbids the network; unset it") from error
    except Exception as error:
        # Of the transport below, whose errors have no common base.
        raise CMACError(
            f"{repository} was not uploaded: {one_line(error)}; nothing of it is seen there. The same command goes on"
        ) from error
    return str(done.pr_url or done.commit_url)


def _refusal(error: Any) -> str:
    status = getattr(error.response, "status_code", 0)
    if status == 401:
        return "the Hub does not know this token; say hf auth login, or set HF_TOKEN"
    if status == 403:
        return "this token may not write there; take one that may, or another owner"
    if status == 404:
        return "the Hub has no such repository or revision for this token; check both"
    text = re.sub(r"\s*\(Request ID.*?\)", "", one_line(error))
    return f"{text}; nothing of it is seen there. The same command goes on"
