"""Which files may be used when: `splits.csv`, fixed once for all, so that every result is comparable.

Kinds of rows, and the rules by which they were drawn:

- thing: one concept, joining what looks or sounds the same across collections (ESC-50's classes, the pairs that show
  the same, UrbanSound8K's classes). 20 things are test and 10 validation: never in training.
- label: a collection's class -> its thing.
- picture: by a hash of its base name (70/10/20), so one drawing in two folders has one split; never less restricted
  than its thing; a drawing that belongs to a pair stays with the pair; at least two pictures of a training thing are
  train.
- recording: a Freesound id, shared by ESC-50 and UrbanSound8K. Test: any clip in ESC-50 fold 5 or UrbanSound8K fold 10.
  Validation: half of ESC-50 fold 4, a tenth of UrbanSound8K's others. `pairs/NAME.ogg` follow their thing.
- background, distractor: 80/10/10 by hash; a distractor that shows a held-out thing has the thing's split.
- clip_group: scenes of the real shots, 60/10/30 by hash. Those of `clips_more` (from 1001 on): sha256 of the name, its
  first 8 hex digits modulo 100, below 60 train, below 70 validation. Six of them show what a group of `clips` shows
  and have its split, for those rows were fixed before: 1120 (542), 1293 (684), 1294 (685), 1297 (688), 1298 (686),
  1300 (699). A shot whose sound a model made, or may have made, is for training only, and only where its group is
  train: who reads validation or test shots leaves out each row whose `label_source` does not end in "original sound".
- drawn_seeds: seeds of the package's own drawn scenes; the demo's are test.

Where several rules meet, the more restrictive wins: test over validation over train.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast

from cmac_hub.errors import CMACError

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Row:
    """One line of the table; `thing` is empty where there is none."""

    kind: str
    name: str
    thing: str
    split: str


@dataclass(frozen=True)
class Splits:
    """The table, by kind and name."""

    table: dict[str, dict[str, Row]]

    def rows(self, kind: str) -> list[Row]:
        """All rows of a kind, in the order of the file."""
        return list(self.table[kind].values())

    def split_of(self, kind: str, name: str) -> Split:
        """The split of one entry. Raises CMACError when the table does not have it."""
        return cast(Split, self._row(kind, name).split)

    def thing_of(self, kind: str, name: str) -> str:
        """The thing that an entry shows or sounds. Raises CMACError when the table does not have it."""
        return self._row(kind, name).thing

    def _row(self, kind: str, name: str) -> Row:
        try:
            return self.table[kind][name]
        except KeyError:
            raise CMACError(f"splits.csv has no {kind} {name!r}; only listed files may be used in training") from None


@cache
def load_splits() -> Splits:
    """Reads the table that lies in the package."""
    table: dict[str, dict[str, Row]] = {}
    text = (resources.files("cmac_hub.train.scenes") / "splits.csv").read_text(encoding="utf-8")
    for line in csv.DictReader(text.splitlines()):
        row = Row(**line)
        table.setdefault(row.kind, {})[row.name] = row
    return Splits(table)
