"""Rates at the edge of those tried are said with the arm that chose them."""

from __future__ import annotations

import pytest

from jft_reps.studies import report_rates
from jft_reps.studies.pages import Page
from jft_reps.studies.plan import Run
from jft_reps.studies.report_rows import Row, Rows
from jft_reps.studies.report_runs import Result


def _rows(page, numbers, x=None):
  of = lambda numbers: Result("i", Run("r", "c.py"), "done", numbers=numbers)
  return Rows(page, [Row("a", "0", x, {"AP": 0.1}, numbers.get("rate"), of(numbers)),
                     Row("a", "1", x, {"AP": 0.1}, 0.1, of({"rate": 0.1}))])


@pytest.mark.parametrize("values, chosen, told", [
    ({0.01: 0.1, 0.1: 0.3, 1.0: 0.2}, 0.1, ""),
    ({0.01: 0.1, 0.1: 0.2, 1.0: 0.3}, 1.0, "a: 1, the highest of 0.01, 0.1, 1."),
    ({0.01: 0.1, 0.1: 0.3, 1.0: None}, 0.1, "a: 0.1, the highest of 0.01, 0.1 (1 diverged)."),
    ({1e-05: 0.3, 0.1: 0.2, 1.0: None}, 1e-05, "a: 1e-05, the lowest of 1e-05, 0.1 (1 diverged)."),
    ({0.1: 0.3, 1.0: None}, 0.1, "a: 0.1, the only of 0.1 (1 diverged)."),
    ({0.1: 0.3}, 0.1, ""), ({0.01: 0.1, 0.1: 0.3}, None, ""), ({}, 0.1, "")])
def test_only_a_rate_at_the_edge_is_said(values, chosen, told):
  page = Page("p", "P", {"x": "AP"}, {"a": {}})
  numbers = {f"dev coco/AP at rate {rate:g}": value for rate, value in values.items()}
  found = report_rates.at_edges(page, _rows(page, numbers | {"rate": chosen}))
  assert bool(found) == bool(told) and all(s.endswith(told) for s in found)


def test_of_sizes_it_says_which_and_names_that_are_no_rates_are_passed_over():
  page = Page("p", "P", {"x": "AP"}, {"a": {}}, x="pictures")
  numbers = {"dev x at rate 1": 0.2, "dev x at rate 2": 0.1, "dev x at rate 1.2.3": 1.0,
             "dev x at rate -": 1.0, "rate": 1.0}
  (told,) = report_rates.at_edges(page, _rows(page, numbers, 3000.0))
  assert told.endswith("for a at 3,000 pictures: 1, the lowest of 1, 2.")
