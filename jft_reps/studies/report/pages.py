"""What a report shows: one page per table or figure of the paper.

A plan's module gives them as `pages(config)`, which follows its configuration, or as `PAGES`: a
sequence of `Page`. A page only says which numbers of which runs it shows and what the paper printed
beside them; rows.py finds those numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class PaperNumber:
  """One number to show beside ours.

  Attributes:
    row: name of an arm, or of what it is a number of where we have no such arm.
    metric: heading it stands under.
    value: in the unit of the metric (0.368, not 36.8).
    source: where it is printed ("Table 4").
    mark: how well it is known: "seed" (given with the task), "found" (read in a source), or
      "memory", which is never printed as the paper's but as "remembered, not verified".
  """

  row: str
  metric: str
  value: float
  source: str
  mark: str


@dataclasses.dataclass(frozen=True)
class Page:
  """One table or figure.

  Attributes:
    name: file name, CSV name and README marker ("fig4_data_size").
    title: heading of the page.
    metrics: number of a run → heading ("boxes_test: coco/AP50" → "AP50"); the first is the one that
      is compared, fitted and plotted.
    arms: label → tags that select its runs (compared as text).
    x: "" for a table of arms; "pictures" for values against that tag, with a log axis and a fit per
      arm; "step" for training curves, from the numbers named "… at step N".
    pairs: arms compared by the paired difference over seeds; with x="pictures" at the largest
      common size, and by what each gains per tenfold of the pictures.
    interactions: two pairs each, of which the report says whether the difference of the first is
      larger than that of the second.
    gained: two arms of which the report says what the second gained over the first, per class and
      per size of objects.
    paper: numbers to show beside ours.
    says: what the paper found, in one sentence.
    says_mark: how well that is known, as the mark of a number; "": the words are our own.
    protocol: of a data-size page: "steps" or "epochs", or a sentence.
    deviations: where our experiment is another than the paper's.
    definitions: what a heading means, shown where no run of the page has left a definition that
      names it.
    higher_is_better: of the first metric.
    chance: first metric of guessing, in its own unit (0.01, not 1 %); None: unknown.
  """

  name: str
  title: str
  metrics: Mapping[str, str]
  arms: Mapping[str, Mapping[str, Any]]
  x: str = ""
  pairs: Sequence[tuple[str, str]] = ()
  interactions: Sequence[tuple[tuple[str, str], tuple[str, str]]] = ()
  gained: tuple[str, str] | None = None
  paper: Sequence[PaperNumber] = ()
  says: str = ""
  says_mark: str = ""
  protocol: str = ""
  deviations: Sequence[str] = ()
  definitions: Mapping[str, str] = dataclasses.field(default_factory=dict)
  higher_is_better: bool = True
  chance: float | None = 0.0

  def restricted(self, arms: Collection[str]) -> Page:
    """The page without other arms, and without what is said of them."""
    known = lambda pair: set(pair) <= set(arms)
    return dataclasses.replace(
        self, arms={arm: tags for arm, tags in self.arms.items() if arm in arms},
        pairs=tuple(filter(known, self.pairs)),
        interactions=tuple(pairs for pairs in self.interactions if all(map(known, pairs))),
        gained=self.gained if self.gained and known(self.gained) else None)
