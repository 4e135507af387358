"""Rows are what the runs of an arm gave; their CSV says the same."""

from __future__ import annotations

import csv
import dataclasses

import pytest

from jft_reps.errors import DataError
from jft_reps.studies.plan import Run
from jft_reps.studies.report import rows as report_rows
from jft_reps.studies.report import text as report_text
from jft_reps.studies.report.pages import Page
from jft_reps.studies.running import results
from tests.studies.running.test_results import write_study

PAGE = Page("p", "P", {"t: AP50": "AP50", "t: AP": "AP"},
            {"b": {"start": "b"}, "a": {"start": "a"}})


def _rows(tmp_path, page, runs):
  return report_rows.rows(page, results.of_directory(write_study(tmp_path, runs)).results)


def test_rows_stand_by_arm_size_and_seed(tmp_path):
  page = dataclasses.replace(PAGE, x="pictures")
  runs = [({"start": s, "seed": n, "pictures": p}, {"t: AP50": p / 1e6, "t: AP": None})
          for s in "ab" for n in (10, 2) for p in (3000, 300)]
  rows, notes = _rows(tmp_path, page, runs + [({"start": "a", "seed": 1}, {"t: AP": 1.0}),
                                              ({"start": "c", "seed": 1}, {"t: AP": 1.0}),
                                              ({"start": "b", "seed": 1, "pictures": 9}, None)])
  assert [(r.arm, r.x, r.seed) for r in rows] == [
      (arm, x, seed) for arm in "ba" for x in (300, 3000) for seed in ("2", "10")]
  assert rows.sizes() == [300, 3000] and rows.by_seed("a", "AP50", 300) == {"2": 3e-4, "10": 3e-4}
  assert rows.by_seed("a", "AP", 300) == {} and notes == [
      "1 runs are done but have no pictures or number of this page."]


def test_a_second_run_of_the_same_place_is_left_out_aloud(tmp_path):
  rows, notes = _rows(tmp_path, PAGE, [({"start": "a", "seed": 0}, {"t: AP": 0.1}),
                                       ({"start": "a", "seed": 0}, {"t: AP": 0.9})])
  assert [r.values for r in rows] == [{"AP": 0.1}]
  assert notes == ["a, seed 0: run_1 is left out, since run_0 stands there."]


def test_what_no_metric_is_is_no_number(tmp_path):
  page = Page("p", "P", {"x": "X"}, {"a": {}})
  study = write_study(tmp_path, [({"seed": 0}, {"x": 1e300}), ({"seed": 1}, {"x": 0.25})])
  rows, _ = report_rows.rows(page, results.of_directory(study).results)
  assert [row.values["X"] for row in rows] == [None, 0.25]


def test_training_curves_come_from_numbers_at_steps(tmp_path):
  page = dataclasses.replace(PAGE, x="step")
  rows, _ = _rows(tmp_path, page, [({"start": "a", "seed": 0}, {
      "t: AP at step 500": 0.2, "t: AP50 at step 500": 0.4, "t: AP at step 50": 0.1, "t: AP": 0.9,
      "u: AP at step 50": 0.3, "t: AP at step x": 0.5})])
  assert [(r.x, r.values) for r in rows] == [(50, {"AP": 0.1}), (500, {"AP": 0.2, "AP50": 0.4})]


def test_long_curves_are_thinned_back_from_the_last_step(tmp_path):
  page = dataclasses.replace(PAGE, x="step")
  rows, _ = _rows(tmp_path, page, [({"start": "a", "seed": 0}, {
      f"t: AP at step {i}": i / 1e4 for i in range(2500)})])
  assert rows.sizes() == list(range(0, 2500, 3)) and rows.at("a", 2499)[0].values == {"AP": 0.2499}


def test_pairs_are_of_the_seeds_that_both_have(tmp_path):
  values = {"a": {0: 0.1, 1: 0.2, 3: None}, "b": {1: 0.5, 0: 0.4, 3: 0.7, 4: 0.9}}
  rows, _ = _rows(tmp_path, PAGE, [({"start": s, "seed": n}, {"t: AP": v})
                                   for s, seeds in values.items() for n, v in seeds.items()])
  assert rows.paired(("a", "b"), "AP") == ([0.1, 0.2], [0.4, 0.5])


def test_the_csv_reads_back(tmp_path):
  page = dataclasses.replace(PAGE, x="pictures", arms={'b, "x"': {"start": "b"}})
  rows, _ = _rows(tmp_path / "s", page, [
      ({"start": "b", "seed": n, "pictures": 3e8}, {"t: AP50": 1 / 3, "t: AP": v, "rate": r})
      for n, v, r in ((0, None, None), (1, 1e-9 / 7, 0.1))])
  text = report_rows.csv_text(page, rows)
  assert text == ('arm,seed,pictures,AP50,AP,rate\n"b, ""x""",0,300000000,0.333333,,\n'
                  '"b, ""x""",1,300000000,0.333333,1.42857e-10,0.1\n')
  (tmp_path / "p.csv").write_text(text)
  assert report_rows.read_csv(page, tmp_path / "p.csv") == rows
  assert list(csv.reader(text.splitlines()))[1][:3] == ['b, "x"', "0", "300000000"]


@pytest.mark.parametrize("text, found", [
    ("", "p.csv"), ("arm,seed,AP\n", "no column AP50"), ("arm,seed,AP50,AP\nb,0,0.5\n", "p.csv:2"),
    ("arm,seed,AP50,AP\nb,0,much,0\n", "p.csv:2"), ("arm,seed,AP50,AP\nc,0,1,0\n", "p.csv:2"),
    ("arm,seed,AP50,AP\nb,0,nan,0\n", "p.csv:2"), ("arm,seed,AP50,AP\n" + "x" * 200_000, "p.csv")])
def test_a_csv_of_something_else_is_an_error(tmp_path, text, found):
  (tmp_path / "p.csv").write_text(text)
  with pytest.raises(DataError, match=found):
    report_rows.read_csv(PAGE, tmp_path / "p.csv")


@pytest.mark.parametrize("x, where", [("", ""), ("pictures", " at 3,000 pictures")])
def test_page_and_csv_name_the_arm_and_the_size_of_a_rate_at_the_edge(tmp_path, x, where):
  page = Page("p", "P", {"x": "AP"}, {"a": {}}, x=x)
  of = lambda seed, rate: results.RunResult(f"i{seed}", Run(f"r{seed}", "c.py", tags={
      "seed": seed, "pictures": 3000}), "done", numbers={
          "x": 0.1, "rate": rate, "dev x at rate 1": 0.2, "dev x at rate 2": 0.1,
          "dev x at rate 0.5": 0.1})
  rows, _ = report_rows.rows(page, [of(0, 0.5), of(1, 1.0)])
  (tmp_path / "p.csv").write_text(report_rows.csv_text(page, rows))
  told = f"so that a better one may lie outside, for a{where}: 0.5, the lowest of 0.5, 1, 2."
  for found in (rows, report_rows.read_csv(page, tmp_path / "p.csv")):
    assert [s for s in report_text.of_page(page, found) if s.endswith(told)]
    assert f"Learning rates: a{where} 0.5 or 1." in report_text.of_page(page, found)
  inside, _ = report_rows.rows(page, [of(1, 1.0)])
  assert "edge" not in report_rows.csv_text(page, inside)
  assert not [s for s in report_text.of_page(page, inside) if "rate" in s.lower()]
