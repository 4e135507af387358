"""Tables give mean and interval, and never a remembered number as the paper's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jft_reps.errors import ConfigError
from jft_reps.studies.fits.interval import SeedMean
from jft_reps.studies.report import rows as report_rows
from jft_reps.studies.report import tables
from jft_reps.studies.report.pages import Page, PaperNumber
from jft_reps.studies.report.rows import PageRows, Row

PAGE = Page("p", "P", {"t: AP": "AP"}, {"one": {}, "two": {}, "none": {}}, paper=[
    PaperNumber("one", "AP", 0.374, "Table 2", "found"),
    PaperNumber("two", "AP", 0.367, "Table 2", "memory"),
    PaperNumber("other", "AP", 0.343, "Table 2", "seed")])


def test_the_interval_is_students():
  values = np.array([0.31, 0.35, 0.30, 0.36])
  found = tables.estimate(values)
  low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
  assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))
  sure = tables.estimate([0.98, 1.0, 1.0])
  assert sure.high == 1.0 and sure.low == pytest.approx(
      stats.t.interval(0.95, 2, 2.98 / 3, stats.sem([0.98, 1.0, 1.0]))[0])
  assert tables.estimate([0.98, 1.02]).high > 1.1  # no fraction
  one = tables.estimate([0.5])
  assert (one.value, one.seeds, one.bounded) == (0.5, 1, False)
  assert tables.estimate([]) is None


def test_every_number_says_whose_it_is():
  values = [("one", "0", 0.3), ("one", "1", 0.34), ("one", "2", None), ("two", "0", 0.5)]
  rows = PageRows(PAGE, [Row(arm, seed, None, {"AP": v}) for arm, seed, v in values])
  table = tables.table(PAGE, rows)
  half = 4 / np.sqrt(2) * stats.t.ppf(0.975, 1) / np.sqrt(2)
  assert table.header == ["arm", "seeds", "AP (%)", "AP elsewhere"]
  assert table.rows == [
      ["one", "3", f"32.0 ({32 - half:.1f} to {32 + half:.1f}), 1 n/a",
       "37.4 the paper's, as found (Table 2)"],
      ["two", "1", "50.0 (one seed)", "36.7 remembered, not verified (Table 2)"],
      ["none", "0", "n/a", "–"]]
  assert tables.elsewhere(PAGE, rows).rows == [
      ("other", "AP", "34.3 the paper's (Table 2)")]
  gain = PaperNumber("gain", "AP", 0.0187, "section 5", "seed")
  assert tables.cited(gain, 100.0) == "1.87 the paper's (section 5)"
  with pytest.raises(ConfigError, match="mark 'sure'"):
    tables.cited(PaperNumber("a", "AP", 1.0, "", "sure"), 1.0)


def test_fractions_are_in_percent_and_other_numbers_are_not():
  page = Page("p", "P", {"a": "AP", "t": "seconds"}, {"x": {}})
  rows = PageRows(page, [Row("x", "0", None, {"AP": 1.0, "seconds": 70.0})])
  assert [tables.scale(page, rows, h) for h in ("AP", "seconds")] == [100.0, 1.0]
  assert tables.table(page, rows).header == ["arm", "seeds", "AP (%)", "seconds"]


def test_curves_are_tabled_at_a_few_steps_with_the_last():
  assert tables.milestones([250.0 * i for i in range(13)]) == [
      500, 1000, 1500, 2000, 2500, 3000]
  assert tables.milestones([7.0]) == [7.0] and tables.milestones([]) == []
  assert report_rows.PageRows(PAGE, []).sizes() == []


def test_a_cell_has_a_true_minus_and_no_minus_zero():
  found = SeedMean(0.002, -0.0304, 0.0344, 3, 0.95)
  assert tables.cell(found, 100, 1, 4) == "0.2 (−3.0 to 3.4), 1 n/a"
  assert tables.cell(SeedMean(-0.0001, -np.inf, np.inf, 1, 0.95), 100, 1, 1) == (
      "0.0 (one seed)")
