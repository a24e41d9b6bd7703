"""The folder that `cmac features` wrote, as a data set to train on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from torch.utils.data import Dataset

from cmac_hub.errors import CMACError, MediaError
from cmac_hub.features import Features
from cmac_hub.text import Table, named_file

INDEX = "index.csv"


class Stored(NamedTuple):
    """One file's features."""

    path: str
    """The file they were made from, as index.csv names it: relative to the folder that was searched."""
    features: Features


class FeaturesDataset(Dataset[Stored]):
    """The features of a folder, one item a file, in the order of index.csv; read when they are asked for.

    Files have different numbers of windows, so a `DataLoader` needs `batch_size=None`, or a `collate_fn` of yours:

        loader = DataLoader(FeaturesDataset("features"), batch_size=None, shuffle=True, num_workers=2)
        for path, features in loader:
            features.visual.mean(0)

    Args:
        folder: the `-o` of `cmac features`.

    Raises:
        MediaError: there is no index.csv in the folder, or it is none of `cmac features`. A features file that is
            missing or broken is named when it is asked for.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        index = self.folder / INDEX
        again = "write it with: cmac features VIDEOS -o FOLDER"
        try:
            table = Table(index)
            if not {"path", "features"} <= set(table.columns):
                raise MediaError(f"{index} has the columns {', '.join(table.columns)}; expected are path, features")
            rows = [(row["path"] or "", row["features"] or "") for row in table]
        except OSError as error:
            raise MediaError(f"{index} cannot be read ({error.strerror or error}); {again}") from error
        except MediaError:
            raise
        except CMACError as error:
            raise MediaError(f"{error}; {again}") from error
        self.paths = [path for path, _ in rows]
        """The files that the features were made from, in order."""
        self._files = [file for _, file in rows]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Stored:
        """Raises MediaError, which names the file, for one that is missing or broken; IndexError beyond the last."""
        return Stored(self.paths[index], Features.load(named_file(self.folder / self._files[index])))
