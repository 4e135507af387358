"""Who gained: differences that were put in are found, and chance is not called a gain."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from jft_reps.studies.report import gained
from jft_reps.studies.report import rows as report_rows
from jft_reps.studies.report.pages import Page
from jft_reps.studies.running import results as report_runs
from tests.studies.running.test_results import write_study

KEY = "t: coco/AP50"
PAGE = Page("p", "P", {KEY: "AP50"}, {s: {"start": s} for s in ("old", "new")},
            gained=("old", "new"))


def test_discoveries_are_benjamini_and_hochbergs():
  rng = np.random.default_rng(1)
  for n in (1, 2, 7, 50):
    p = np.concatenate([rng.uniform(0, 0.02, n // 2), rng.uniform(0, 1, n - n // 2)])
    kept = max((k for k in range(1, n + 1) if np.sort(p)[k - 1] <= 0.05 * k / n), default=0)
    expected = [value in np.sort(p)[:kept] for value in p]  # as the paper says it
    assert gained.discoveries(list(p)) == expected
  assert gained.discoveries([]) == []
  assert gained.discoveries([0.04, 0.045]) == [True, True]  # the second carries the first


def test_without_a_change_nothing_is_called_gained():
  rng = np.random.default_rng(2)
  arms = [{str(s): dict(enumerate(rng.normal(0.4, 0.05, 200))) for s in range(5)} for _ in "ab"]
  found = gained.changes(*arms)
  assert sum(c.found.separated for c in found) > 3  # of 200 intervals at 95 %
  assert sum(c.kept for c in found) == 0


@pytest.mark.parametrize("seeds", [2, 4, 5])
def test_an_order_takes_five_seeds_of_a_class_as_well(seeds):
  arms = [{str(s): {"cup": value + 1e-4 * s * sign} for s in range(seeds)}
          for value, sign in ((0.3, 1), (0.5, -1))]
  (found,) = gained.changes(*arms)
  assert found.verdict == ("gained" if seeds == 5 else "an order takes 5 seeds")


def _study(tmp_path, edit=lambda arm, seed, classes: classes):
  rng, runs = np.random.default_rng(5), []
  for arm in ("old", "new"):
    for seed in range(5):
      base = 0.4 + 0.02 * seed
      change = {"cup": 0.1, "fork": -0.08, "<b>lamp": 0.0} if arm == "new" else {}
      classes = {c: base + change.get(c, 0.0) + rng.normal(0, 0.004)
                 for c in ("fork", "<b>lamp", "cup", "boat")}
      sizes = {"t: coco/APs": base / 2 + (0.05 if arm == "new" else 0), "t: coco/APl": -1.0,
               "t: coco/APm": None}
      runs.append(({"start": arm, "seed": seed}, {KEY: base, **sizes},
                   {"classes.json": edit(arm, seed, {KEY: classes})}))
  results = report_runs.of_directory(write_study(tmp_path, runs)).results
  return gained.of_page(PAGE, report_rows.rows(PAGE, results)[0])


def test_classes_that_gained_and_lost_are_told_in_order(tmp_path):
  (classes, sizes), told = _study(tmp_path)
  assert [(row[0], row[4]) for row in classes.rows] == [
      (classes.rows[0][0], "gained"), *((r[0], "not separated") for r in classes.rows[1:3]),
      ("fork", "lost")]
  assert classes.rows[0][0] == "cup" and float(classes.rows[0][1]) == pytest.approx(10, abs=0.6)
  assert float(classes.rows[3][1].replace("−", "-")) == pytest.approx(-8, abs=0.6)
  assert told[0].startswith("AP50 by class, new less old: of 4 compared, 1 gained and 1 lost by "
                            "Benjamini and Hochberg's")
  # COCO's −1 and null are no numbers.
  assert [(r[0], r[1], r[4]) for r in sizes.rows] == [("small objects", "+5.0", "gained")]


def test_damaged_values_per_class_are_left_out_aloud(tmp_path):
  def edit(arm, seed, content):
    return {("new", 0): [], ("new", 1): {KEY: "much"}, ("new", 2): {KEY: {"cup": "x", "boat": 0.5}},
            ("old", 3): {"a": {str(i): 0.5 for i in range(20_001)}}}.get((arm, seed), content)

  (classes, _), told = _study(tmp_path, edit)
  # Boat of seeds 2 and 4; the other classes have seed 4 alone, which is no pair.
  assert [(row[0], row[3]) for row in classes.rows] == [("boat", "2")]
  assert any("run_5 are left out: a list" in s for s in told)
  assert any("run_3 are left out: more than 20,000 classes" in s for s in told)


def test_classes_may_be_named_without_what_is_measured(tmp_path):
  whole = _study(tmp_path / "a")
  short = _study(tmp_path / "b", lambda arm, seed, content: {"AP50": content[KEY]})
  assert short == whole and len(short[0][0].rows) == 4


def test_nothing_to_compare_is_said(tmp_path):
  runs = [({"start": arm, "seed": 0}, {KEY: 0.5}) for arm in ("old", "new")]
  rows, _ = report_rows.rows(PAGE, report_runs.of_directory(write_study(tmp_path, runs)).results)
  tables, told = gained.of_page(PAGE, rows)
  assert not tables and told[0].startswith("Who gained from old to new: nothing to compare")
  assert gained.of_page(dataclasses.replace(PAGE, gained=None), rows) == ([], [])
