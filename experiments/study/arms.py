"""What the pages of several tables share: which runs stand in a row, and what is said of them.

A page's arm is a name and the tags that select its runs; the arms of all tables are made of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.study.names import Names
from jft_reps.studies.report.pages import PaperNumber

TUNED = {"frozen": "fine-tuned", "times": 1}
BASE = {"depth": "base", "noise": "standard", "labels": "all", "third": 3}
CLEAN = {"start": "clean", **BASE}
NOISY = {"start": "noisy", "size": "largest", **BASE}
BOTH = {"start": "clean+noisy", "size": "largest", **BASE}
RANDOM = {"start": "random", **BASE}

LEAVES = {"leaves": "leaves: plain mean of the same AP over the classes that have none below them "
                    "in the hierarchy."}
SERVER = "The paper's numbers are of COCO's test-dev."
BEST = "300M is better than ImageNet, and both together are best."


def starts(names: Names, task: str) -> dict[str, dict]:
  """The arms of a table of starts: the paper's three, random weights, and these trained longer."""
  of = {"task": task, **TUNED}
  return {names.clean: {**of, **CLEAN}, names.noisy: {**of, **NOISY}, names.both: {**of, **BOTH},
          names.random: {**of, **RANDOM}, names.longer: {**of, **RANDOM, "times": 3}}


def pairs(names: Names) -> tuple[tuple[str, str], ...]:
  """Which arms of a table of starts are compared."""
  return ((names.noisy, names.random), (names.noisy, names.longer), (names.clean, names.random),
          (names.noisy, names.clean), (names.both, names.clean), (names.both, names.noisy))


def sizes(task: str, frozen: bool = False) -> dict:
  """The arm of a curve over the pictures of pre-training."""
  return {"task": task, "start": "noisy", **BASE,
          **({} if task == "pretrain" else {"frozen": "frozen" if frozen else "fine-tuned"})}


def cited(numbers: Sequence[tuple], headings: Mapping[str, str]) -> tuple[PaperNumber, ...]:
  """The numbers of a table's CITED that a page shows, in rows of their own: none is trained.

  Args:
    numbers: row, metric, value, source and mark of each.
    headings: of the page, by metric.
  """
  return tuple(PaperNumber(row, heading, value, source, mark)
               for row, metric, value, source, mark in numbers
               if (heading := headings.get(metric.rpartition(": ")[2])))


def of_paper(expected: Sequence[tuple], headings: Mapping[str, str],
             rows: Mapping[str, str]) -> tuple[PaperNumber, ...]:
  """The numbers of a table's EXPECTED that a page shows.

  Args:
    expected: row, metric, value, tolerance, source and mark of each.
    headings: of the page, by metric.
    rows: what the page calls the table's rows; of others it shows nothing.
  """
  return tuple(PaperNumber(rows[row], heading, value, source, mark)
               for row, metric, value, _, source, mark in expected
               if row in rows and (heading := headings.get(metric.rpartition(": ")[2])))
