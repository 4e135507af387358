"""Curves drawn from laws we know, with noise of seeds: how often the truth is inside."""

from __future__ import annotations

import concurrent.futures
import multiprocessing

import numpy as np
import pytest

from experiments.benchmarks import forecast as benchmark
from jft_reps.studies import forecast
from jft_reps.studies.forecast import answers


def law_figures(name: str, draws: int, seed: int = 0) -> dict:
  cases = list(benchmark.law_cases(benchmark.LAWS[name], draws, seed))
  return benchmark.figures(cases, [
      benchmark.log_forecast(forecast.fit(case.sizes, case.errors), case) for case in cases])


@pytest.mark.parametrize("name", benchmark.LAWS)
def test_most_of_what_is_measured_is_inside(name):
  assert min(law_figures(name, 40)["inside"]) >= 0.8  # 0.9 less two standard errors of 40 draws


@pytest.mark.slow
def test_what_is_measured_is_inside_nine_times_of_ten():
  names, context = list(benchmark.LAWS), multiprocessing.get_context("spawn")
  with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
    found = dict(zip(names, pool.map(law_figures, names, [1000] * len(names))))
  inside = {name: found[name]["inside"] for name in names}
  for name in names:
    # 0.90 to 0.99, and the standard error of a thousand draws.
    assert min(inside[name]) >= 0.89, inside
    assert max(inside[name]) <= 0.995, inside


def test_a_flat_curve_is_promised_no_gain():
  gains = []
  for case in benchmark.law_cases(benchmark.LAWS["flat"], 40, seed=3):
    worth = answers.doubling(forecast.fit(case.sizes, case.errors))
    assert worth.low <= 0 <= worth.high or abs(worth.gain) < 0.01 * case.errors.mean()
    gains.append(worth.gain / case.errors.mean())
  assert abs(np.mean(gains)) < 0.01 and np.quantile(np.abs(gains), 0.95) < 0.03
