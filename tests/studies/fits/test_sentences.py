"""Sentences say what the intervals separate, in the asked units, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from jft_reps.errors import DataError
from jft_reps.studies.fits import curve, sentences

SIZES = (1000, 3000, 10_000, 30_000)


def rows(gain: float, own: tuple[float, ...], sizes=SIZES) -> list[tuple]:
  """Lines through 0.3 at the smallest size; `own` is what each seed adds to the gain."""
  return [(n, s, 0.3 + (gain + extra) * np.log10(n / sizes[0]))
          for n in sizes for s, extra in enumerate(own)]


def said(table, **kwargs) -> str:
  return sentences.data_size(curve.log_linear(curve.curve(table)), "AP", **kwargs)


THREE = (-0.0016, 0.0, 0.0016)


def test_a_gain_its_interval_and_its_seeds():
  assert said(rows(0.013, THREE)) == (
      "+1.3 AP per 10× pictures, 95 % interval 0.9 to 1.7, three seeds.")
  assert said(rows(0.013, THREE), scale=1) == (
      "+0.013 AP per 10× pictures, 95 % interval 0.009 to 0.017, three seeds.")


def test_no_gain_is_claimed_where_the_interval_holds_zero():
  text = said(rows(0.003, (-0.002, 0.0, 0.002)))
  assert text == ("No gain can be told: +0.3 AP per 10× pictures, 95 % interval −0.2 to 0.8, "
                  "three seeds.")


def test_an_interval_just_off_zero_is_not_printed_as_zero():
  text = said(rows(0.0042, THREE))
  assert text.startswith("+0.42") and "interval 0.008 to 0.832" in text


def test_numbers_that_never_change_gain_nothing():
  assert said([(n, s, 0.5) for n in SIZES for s in range(3)]).startswith("No gain can be told: ")


def test_one_seed_orders_nothing_however_small_its_scatter():
  rng = np.random.default_rng(0)
  table = [(n, 0, v + 0.001 * rng.normal()) for n, _, v in rows(0.05, (0.0,))]
  log = np.log10(SIZES)
  slope, residuals, *_ = np.polyfit(log, [v for *_, v in table], 1, full=True)
  scatter = 100 * np.sqrt(residuals[0] / 2)
  assert said(table) == (
      f"No gain can be told: +{100 * slope[0]:.1f} AP per 10× pictures of one seed, which gives no "
      f"interval and so no order; the scatter about the line, {scatter:.2f} AP, says nothing of "
      "other seeds.")
  assert said(table[:2]).endswith("of one seed, which gives no interval and so no order.")
  few = rows(0.02, (0.0,))
  text = sentences.comparison(table, few, ("fine-tuned", "frozen"), "AP")
  assert text.startswith("Which of fine-tuned and frozen gains more per 10× pictures cannot be "
                         "told: +3.0 AP of one seed, which gives no interval and so no order; ")
  some = said(table + [(1000, 1, 0.3)])
  assert "of one seed at some sizes, which gives no interval" in some


@pytest.mark.parametrize("less,told", [(0.02, "falls"), (-0.02, "grows")])
def test_a_bend_is_told(less, told):
  noise = (-1e-4, 0.0, 1e-4)
  table = [(n, s, v - less * np.log10(n / 1000) ** 2) for n, s, v in rows(0.1, noise)]
  assert said(table).endswith(f"three seeds; the gain {told} with size.")


def test_what_is_left_out_of_half_a_study_is_named():
  table = rows(0.013, (*THREE, 0.0, 0.0))
  some = lambda *counts: [row for row in table if row[1] < counts[SIZES.index(row[0])]]
  assert said(some(5, 4, 3, 3)).endswith(
      ", three seeds, without seeds 3 and 4 (not at every size).")
  assert said(some(5, 5, 5, 1)).endswith(", five seeds, without size 30,000 (one seed).")
  text = said(some(5, 5, 4, 1))
  assert "four seeds, without seed 4 (not at every size), without size 30,000 (one seed)" in text
  many = rows(0.013, tuple(np.linspace(-1e-3, 1e-3, 20)))
  text = said([row for row in many if row[0] > 1000 or row[1] < 10])
  assert "ten seeds, without seeds 10, 11, 12, 13, 14 and 5 more (not at every size)" in text
  other = rows(0.001, (*THREE[::-1], 0.0, 0.0))
  pair = [[row for row in each if row[1] < (5, 4, 3, 3)[SIZES.index(row[0])]]
          for each in (table, other)]
  text = sentences.comparison(*pair, ("a", "b"), "AP")
  assert text.startswith("a less b per 10× pictures: +1.2 AP") and text.endswith(
      ", three seeds, without seeds 3 and 4 (not at every size); an order takes 5 seeds.")


def test_two_curves_are_ordered_only_where_the_interval_of_their_difference_is():
  five = (*THREE, 0.002, -0.002)
  many, few = rows(0.03, five), rows(0.01, five[::-1])
  names = ("fine-tuned", "frozen")
  assert sentences.comparison(many, few, names, "AP") == (
      "fine-tuned gains +2.00 AP per 10× pictures more than frozen, 95 % interval 1.82 to 2.18, "
      "five seeds.")
  assert sentences.comparison(few, many, names, "AP").startswith("frozen gains +2.00 AP per 10× "
                                                                 "pictures more than fine-tuned")
  less = lambda table: [row for row in table if row[1] < 4]
  assert "gains" not in sentences.comparison(less(many), less(few), names, "AP")
  same = sentences.comparison(rows(0.011, five), few, names, "AP")
  assert same.startswith("Which of fine-tuned and frozen gains more per 10× pictures cannot be")


def test_curves_of_other_seeds_are_not_compared():
  with pytest.raises(DataError, match="the same sizes and seeds in both"):
    sentences.comparison(rows(0.1, THREE), rows(0.1, THREE[:2]), ("a", "b"), "AP")
