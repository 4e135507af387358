"""Rates at the edge of those tried are told, with the arm that chose them."""

from __future__ import annotations

import pytest

from jft_reps.studies.plan import Run
from jft_reps.studies.report import rates, text
from jft_reps.studies.report import rows as report_rows
from jft_reps.studies.report.pages import Page
from jft_reps.studies.running.results import Result


@pytest.mark.parametrize("values, chosen, told", [
    ({0.01: 0.1, 0.1: 0.3, 1.0: 0.2}, 0.1, ""),
    ({0.01: 0.1, 0.1: 0.2, 1.0: 0.3}, 1.0, "1, the highest of 0.01, 0.1, 1"),
    ({0.01: 0.1, 0.1: 0.3, 1.0: None}, 0.1, ""),  # it lies below one that diverged
    ({1e-05: 0.3, 0.1: 0.2, 1.0: None}, 1e-05, "1e-05, the lowest of 1e-05, 0.1, 1 (1 diverged)"),
    ({0.1: 0.3, 1.0: None}, 0.1, "0.1, the lowest of 0.1, 1 (1 diverged)"),
    ({0.1: 0.3}, 0.1, ""), ({0.01: 0.1, 0.1: 0.3}, None, ""), ({}, 0.1, "")])
def test_only_a_rate_at_the_edge_is_said(values, chosen, told):
  numbers = {f"dev coco/AP at rate {rate:g}": value for rate, value in values.items()}
  assert rates.edge(numbers | {"rate": chosen}) == told


def test_names_that_are_no_rates_are_passed_over():
  numbers = {"dev x at rate 1": 0.2, "dev x at rate 2": 0.1, "dev x at rate 1.2.3": 1.0,
             "dev x at rate -": 1.0, "rate": 1.0}
  assert rates.edge(numbers) == "1, the lowest of 1, 2"


@pytest.mark.parametrize("x, where", [("", ""), ("pictures", " at 3,000 pictures")])
def test_page_and_csv_name_the_arm_and_the_size(tmp_path, x, where):
  page = Page("p", "P", {"x": "AP"}, {"a": {}}, x=x)
  of = lambda seed, rate: Result(f"i{seed}", Run(f"r{seed}", "c.py", tags={
      "seed": seed, "pictures": 3000}), "done", numbers={
          "x": 0.1, "rate": rate, "dev x at rate 1": 0.2, "dev x at rate 2": 0.1,
          "dev x at rate 0.5": 0.1})
  rows, _ = report_rows.rows(page, [of(0, 0.5), of(1, 1.0)])
  (tmp_path / "p.csv").write_text(report_rows.csv_text(page, rows))
  told = f"so that a better one may lie outside, for a{where}: 0.5, the lowest of 0.5, 1, 2."
  for found in (rows, report_rows.read_csv(page, tmp_path / "p.csv")):
    assert [s for s in text.of_page(page, found) if s.endswith(told)]
    assert f"Learning rates: a{where} 0.5 or 1." in text.of_page(page, found)
  inside, _ = report_rows.rows(page, [of(1, 1.0)])
  assert "edge" not in report_rows.csv_text(page, inside)
  assert not [s for s in text.of_page(page, inside) if "rate" in s.lower()]
