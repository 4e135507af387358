"""The list of experiments says what their files and committed results say."""

from __future__ import annotations

import collections
import csv
import importlib
import re

import pytest

from experiments import paper


@pytest.fixture(scope="module")
def lines(root):
  """Cells of each experiment's line, by its file."""
  found = {}
  for line in (root / "experiments" / "README.md").read_text().splitlines():
    if match := re.match(r"\| .*? \| \[(\w+)\]\(\1\.py\) \|", line):
      found[match[1]] = [cell.strip() for cell in line.strip("|").split("|")]
  return found


def test_every_table_and_figure_has_a_line(lines):
  assert {module.__name__.rpartition(".")[2] for module in paper.PARTS.values()} == set(lines)


def test_what_a_row_takes_is_said_in_its_file(lines):
  for name, (_, _, cost, _, _) in lines.items():
    said = " ".join(importlib.import_module(f"experiments.{name}").__doc__.split())
    if name != "noise":
      days, hours = cost.split(" days, ")
      assert re.search(rf"takes {days} days on [^,]*?, {hours}", said), name


def means(path):
  """Mean over seeds of each heading, in percent, by arm without what is in brackets, and size."""
  with open(path, newline="") as file:
    rows = list(csv.DictReader(file))
  last = max((float(row["step"]) for row in rows), default=0) if "step" in rows[0] else None
  found = collections.defaultdict(list)
  for row in rows:
    if last is None or float(row["step"]) == last:
      size = f", {int(row['pictures']):,}" if "pictures" in row else ""
      arm = re.sub(r" \([^)]*\)", "", row["arm"]) + size
      for heading in set(row) - {"arm", "seed", "step", "pictures", "edge", "rate"}:
        found[heading, arm].append(100 * float(row[heading]))
  return {key: sum(values) / len(values) for key, values in found.items()}


def values(text):
  """Numbers by name, as text, of `name number; name number`."""
  pairs = [part.rpartition(" ") for part in text.split("; ")]
  return {name: number for name, _, number in pairs}


def test_numbers_in_miniature_are_means_of_the_committed_results(lines, root):
  checked = 0
  for _, _, _, miniature, _ in lines.values():
    if match := re.fullmatch(r"\[(\S+)\]\((results/\w+\.csv)\): (.+)", miniature):
      committed = means(root / "experiments" / match[2])
      for arm, number in values(match[3]).items():
        assert number == f"{committed[match[1], arm]:.1f}", (match[2], arm)
        checked += 1
  assert checked > 30


def test_numbers_of_the_paper_are_the_files_and_what_is_remembered_has_a_star(lines):
  checked = 0
  for name, (*_, told) in lines.items():
    expected = getattr(importlib.import_module(f"experiments.{name}"), "EXPECTED", [])
    known = {(metric.rpartition(": ")[2], row): f"{100 * value:.1f}{'*' * (mark == 'memory')}"
             for row, metric, value, _, _, mark in expected}
    if match := re.fullmatch(r"(\w+/\w+): (.+)", told):
      for row, number in values(match[2]).items():
        assert number == known[match[1], row], (name, row)
        checked += 1
  assert checked > 15
