"""Curves from files: bad input says where, strange input says what was done, files agree."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from jft_reps.errors import ConfigError, DataError
from jft_reps.studies import forecast
from jft_reps.studies.forecast import answers
from jft_reps.workflows import forecasting

GOOD = "pictures,value\n1e4,0.60\n3e4,0.50\n1e5,0.41\n3e5,0.35\n1e6,0.31\n"


@pytest.fixture
def curve(tmp_path):
  def write(text=GOOD):
    path = tmp_path / "curve.csv"
    path.write_text(text)
    return path
  return write


BAD = {
    "fewer than three sizes": ("pictures,value\n10,0.5\n20,0.4\n", {}, "curve-short", "at least 3"),
    "equal sizes": ("pictures,value\n10,0.5\n10,0.4\n10,0.45\n", {}, "curve-short", "1 different"),
    "NaN": (GOOD + "2e6,nan\n", {}, "curve-value", "curve.csv:7"),
    "infinite": (GOOD + "inf,0.3\n", {}, "curve-size", "curve.csv:7"),
    "negative size": (GOOD + "-5,0.3\n", {}, "curve-size", "curve.csv:7"),
    "zero size": (GOOD + "0,0.3\n", {}, "curve-size", "curve.csv:7"),
    "above chance": (GOOD, {"chance": 0.55}, "curve-chance", "curve.csv:2"),
    "below zero": (GOOD + "2e6,-0.1\n", {}, "curve-best", "curve.csv:7"),
    "perfect": (GOOD + "2e6,0\n", {}, "curve-best", "curve.csv:7"),
    "a score above best": ("pictures,value\n1,50\n2,60\n4,101\n", {"higher_is_better": True},
                           "curve-best", "curve.csv:4"),
    "percent beside fractions": (GOOD + "2e6,28\n", {}, "curve-units", "percent beside"),
    "other header": ("n,error\n1,2\n", {}, "curve-header", "pictures,value"),
    "a column twice": ("pictures,value,value\n1,2,3\n", {}, "curve-header", "each once"),
    "empty file": ("", {}, "curve-empty", "an empty file"),
    "header alone": ("pictures,value\n", {}, "curve-empty", "no rows"),
    "no number": (GOOD + "2e6,28%\n", {}, "curve-number", "curve.csv:7"),
    "cells missing": (GOOD + "2e6\n", {}, "curve-row", "curve.csv:7"),
    "ends the wrong way": (GOOD, {"best": 0.5, "chance": 0.2}, "curve-ends", "chance 0.2"),
    "target beyond perfect": (GOOD, {"target": 0}, "forecast-target", "between"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_where_and_what(curve, name):
  text, arguments, slug, part = BAD[name]
  with pytest.raises(DataError) as error:
    forecasting.forecast(curve(text), **arguments)
  assert error.value.slug == slug and part in str(error.value)


def test_no_file_and_no_text(tmp_path):
  with pytest.raises(DataError, match="curve-file"):
    forecasting.forecast(tmp_path / "none.csv")
  (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
  with pytest.raises(DataError, match="curve-file"):
    forecasting.forecast(tmp_path / "binary.csv")


@pytest.mark.parametrize("arguments", [{"at": [0]}, {"at": [math.inf]}, {"cost_per_picture": -1},
                                       {"hours_per_run": math.nan}])
def test_arguments_out_of_range(curve, arguments):
  with pytest.raises(ConfigError, match="a finite number above 0"):
    forecasting.forecast(curve(), **arguments)


def test_it_foretells_what_fit_does(curve):
  found, = forecasting.forecast(curve(), at=[4e6])
  sizes, values = zip(*(map(float, line.split(",")) for line in GOOD.split()[1:]))
  expected = np.array(forecast.fit(sizes, values).at([2e6, 5e6, 1e7, 4e6])).T
  rows = [(p.value, p.low, p.high) for p in found.predictions]
  np.testing.assert_allclose(rows, expected)
  assert [p.factor for p in found.predictions] == pytest.approx([2, 5, 10, 4])
  far = found.predictions[2]
  assert found.sentence == (
      f"ten times more pictures bring the error from 0.31 to {far.value:.3g} ({far.low:.3g} to "
      f"{far.high:.3g})")


def test_worse_values_and_seeds_that_differ_are_said(curve):
  found, = forecasting.forecast(curve(
      "pictures,value,seed\n1e3,0.3,0\n1e3,0.31,1\n1e4,0.32,0\n1e5,0.35,2\n1e6,0.37,0\n"))
  notes = " ".join(found.notes)
  assert "get worse" in notes and "seeds differ" in notes and "1 to 2 seeds" in notes
  assert found.doubling.high < 0.01


def test_three_sizes_have_no_back_test_and_say_so(curve):
  found, = forecasting.forecast(curve("pictures,value\n1e3,0.5\n1e4,0.4\n1e5,0.32\n"))
  assert found.back_test is None and "no back-test" in " ".join(found.notes)


def test_back_test_foretells_the_largest_from_the_others(curve):
  found, = forecasting.forecast(curve())
  sizes, values = zip(*(map(float, line.split(",")) for line in GOOD.split()[1:-1]))
  value, low, high = forecast.fit(sizes, values).at([1e6])
  test = found.back_test
  assert (test.foretold.value, test.foretold.low, test.foretold.high) == pytest.approx(
      (value[0], low[0], high[0]))
  assert test.measured == pytest.approx(0.31) and test.inside == (low[0] <= 0.31 <= high[0])


def test_target_agrees_with_the_forecast_there(curve):
  found, = forecasting.forecast(curve(), target=0.28)
  needed = found.target
  assert 1e6 < needed.low < needed.pictures < needed.high
  fitted = forecast.fit(found.sizes, found.values)
  logs = fitted.posterior.quantiles(fitted.place([needed.low, needed.pictures]),
                                    np.array([0.025, 0.5]))
  assert np.exp(logs[0, 0]) == pytest.approx(0.28, rel=0.005)
  assert np.exp(logs[1, 1]) == pytest.approx(0.28, rel=0.005)


def test_a_target_out_of_reach_is_called_so(curve):
  flat = "pictures,value\n" + "".join(f"1e{k},0.3\n" for k in range(3, 8))
  found, = forecasting.forecast(curve(flat), target=0.05)
  assert found.target.never > 0.9 and math.isinf(found.target.pictures)
  assert "probably not reached" in found.target.sentence
  reached, = forecasting.forecast(curve(), target=0.4)
  assert "reached already" in reached.target.sentence


def test_doubling_costs_what_it_costs(curve):
  found, = forecasting.forecast(curve(), cost_per_picture=0.05, hours_per_run=4)
  worth = found.doubling
  assert (worth.pictures, worth.cost, worth.hours) == (1e6, 0.05 * 1e6, 8)
  assert worth.low < worth.gain < worth.high
  assert worth.gain == pytest.approx(0.31 - found.predictions[0].value, abs=0.005)


def test_the_next_run_shrinks_the_interval_as_it_promised(curve):
  found, = forecasting.forecast(curve(), next=True)
  plan = found.next
  widths = [candidate.width for candidate in plan.candidates]
  assert plan.size is not None and min(widths) < 0.9 * plan.width
  # Measure what the median forecast says at the largest candidate: the interval does shrink.
  largest = plan.candidates[-1]
  fitted = forecast.fit(found.sizes, found.values)
  after = forecast.fit([*found.sizes, largest.size],
                       [*found.values, fitted.at([largest.size])[0][0]])
  width = np.subtract(*np.exp(after.posterior.quantiles(
      after.place([plan.at]), np.array([0.975, 0.025])))[0])
  assert width < 0.9 * plan.width
  assert width == pytest.approx(largest.width, rel=0.6)


def test_scores_in_percent_and_arms_apart(curve):
  text = "task,arm,pictures,value\n" + "".join(
      f"coco,{arm},{10 ** k},{start + 4 * k}\n" for k in range(3, 8)
      for arm, start in (("a", 5), ("b", 10)))
  found = forecasting.forecast(curve(text), higher_is_better=True)
  assert [one.name for one in found] == ["coco, a", "coco, b"]
  for one in found:
    assert one.predictions[2].value > one.values[-1] and one.predictions[2].high <= 100
    assert one.word == "score" and "perfect is 100, chance is 0" in one.notes


def test_files_say_the_same(curve, tmp_path):
  found, = forecasting.forecast(curve(), target=0.01, next=True, output=tmp_path / "out")
  data, = json.loads((tmp_path / "out/forecast.json").read_text())
  assert data["target"]["pictures"] is None  # never; JSON knows no infinity
  with open(tmp_path / "out/forecast.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  for row, mine, theirs in zip(rows, found.predictions, data["predictions"]):
    assert float(row["value"]) == pytest.approx(mine.value, rel=1e-5)
    assert theirs["high"] == mine.high
  assert (tmp_path / "out/forecast.png").read_bytes().startswith(b"\x89PNG")
  assert b"<svg" in (tmp_path / "out/forecast.svg").read_bytes()
  assert found.sentence in forecasting.text([found])


def test_names_of_strangers_stay_text(curve, tmp_path):
  rows = "".join(f"=x\x1b[2J$a^,1e{k},{0.5 - 0.04 * k}\n" for k in range(3, 8))
  found = forecasting.forecast(curve("task,pictures,value\n" + rows), output=tmp_path / "out")
  assert "\x1b" not in forecasting.text(found)
  assert "\n'=x" in (tmp_path / "out/forecast.csv").read_text()


@pytest.mark.parametrize("size, words", [(1234, "1,230"), (3.42e6, "3.42 million"),
                                         (2e9, "2 billion"), (math.inf, "more")])
def test_counts_in_words(size, words):
  assert answers.count(size) == words
