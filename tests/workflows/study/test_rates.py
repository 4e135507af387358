"""Which learning rate is tried next, and which is the best."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.workflows.study import rates as study_rates


@pytest.mark.parametrize("scores, following", [
    ({0.01: 0.1, 0.03: 0.3, 0.1: 0.2}, None), ({0.01: 0.1, 0.03: 0.2, 0.1: 0.3}, 0.33),
    ({0.01: 0.3, 0.03: 0.2, 0.1: 0.1}, 0.0033), ({0.01: 0.1, 0.03: 0.3, 0.1: None}, None),
    ({0.01: 0.1, 0.03: None, 0.1: None}, 0.0033), ({0.1: 0.3, 0.01: 0.1}, 1.0),
    ({0.01: None, 0.03: None}, None), ({0.01: 0.2}, None), ({}, None),
    ({0.01: 0.3, 0.03: math.nan}, 0.0033)])
def test_the_next_rate_is_beyond_the_edge_at_which_the_best_stands(scores, following):
  assert study_rates.beyond(scores) == following


@given(st.floats(-4, 0), st.floats(0.3, 1.2), st.floats(-2.3, 2.3))
def test_a_best_rate_near_those_tried_is_in_the_end_between_two(log, step, off):
  truth = lambda rate: -(math.log10(rate) - log - off * step)**2
  scores = {rate: truth(rate) for rate in (10**log, 10**(log + step), 10**(log - step))}
  for _ in range(2):
    rate = study_rates.beyond(scores)
    if rate is not None:
      assert rate < min(scores) or rate > max(scores)
      scores[rate] = truth(rate)
  best, rates = study_rates.best(scores), sorted(scores)
  assert rates[0] < best < rates[-1]
  assert abs(math.log10(best) - log - off * step) < 0.6 * step


def test_there_is_no_best_of_what_did_not_train():
  assert study_rates.best({0.1: None, 0.2: math.inf, 0.3: math.nan}) is None
  assert study_rates.best({0.1: None, 0.2: 0.0}) == 0.2
