"""Which learning rate is tried next, which is the best, and which stand at an edge."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.studies import rates


@pytest.mark.parametrize("scores, following", [
    ({0.01: 0.1, 0.03: 0.3, 0.1: 0.2}, None), ({0.01: 0.1, 0.03: 0.2, 0.1: 0.3}, 0.33),
    ({0.01: 0.3, 0.03: 0.2, 0.1: 0.1}, 0.0033), ({0.01: 0.1, 0.03: 0.3, 0.1: None}, None),
    ({0.01: 0.1, 0.03: None, 0.1: None}, 0.0033), ({0.1: 0.3, 0.01: 0.1}, 1.0),
    ({0.01: None, 0.03: None}, None), ({0.01: 0.2}, None), ({}, None),
    ({0.01: 0.3, 0.03: math.nan}, 0.0033)])
def test_the_next_rate_is_beyond_the_edge_at_which_the_best_stands(scores, following):
  assert rates.beyond(scores) == following


@given(st.floats(-4, 0), st.floats(0.3, 1.2), st.floats(-2.3, 2.3))
def test_a_best_rate_near_those_tried_is_in_the_end_between_two(log, step, off):
  truth = lambda rate: -(math.log10(rate) - log - off * step)**2
  scores = {rate: truth(rate) for rate in (10**log, 10**(log + step), 10**(log - step))}
  for _ in range(2):
    rate = rates.beyond(scores)
    if rate is not None:
      assert rate < min(scores) or rate > max(scores)
      scores[rate] = truth(rate)
  best, tried = rates.best(scores), sorted(scores)
  assert tried[0] < best < tried[-1]
  assert abs(math.log10(best) - log - off * step) < 0.6 * step


def test_there_is_no_best_of_what_did_not_train():
  assert rates.best({0.1: None, 0.2: math.inf, 0.3: math.nan}) is None
  assert rates.best({0.1: None, 0.2: 0.0}) == 0.2


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


def test_the_next_after_a_rate_that_diverges_is_the_highest_below_it_that_was_tried():
  numbers = {rates.number_at("coco/AP", rate): None for rate in (0.4, 0.01, 0.1, 1e-05)}
  assert rates.tried(numbers) == dict.fromkeys((0.4, 0.01, 0.1, 1e-05), False)
  assert rates.fallbacks(numbers | {"rate": 0.1, "dev coco/AP": 1.0}) == [0.1, 0.01, 1e-05]
