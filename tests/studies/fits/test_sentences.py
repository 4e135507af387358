"""Sentences say what the intervals separate, in the asked units, and nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest

from jft_reps.errors import DataError
from jft_reps.studies.fits import curve, power_law, sentences

SIZES = (1000, 3000, 10_000, 30_000)


def rows(gain: float, own: tuple[float, ...], sizes=SIZES) -> list[tuple]:
  """Lines through 0.3 at the smallest size; `own` is what each seed adds to the gain."""
  return [(n, s, 0.3 + (gain + extra) * np.log10(n / sizes[0]))
          for n in sizes for s, extra in enumerate(own)]


def said(table, **kwargs) -> str:
  return sentences.data_size(curve.log_linear(curve.curve(table)), "AP", **kwargs)


THREE = (-0.0016, 0.0, 0.0016)


def test_a_gain_its_interval_seeds_and_a_marked_prediction():
  text = said(rows(0.013, THREE))
  assert text.startswith("+1.3 AP per 10× pictures, 95 % interval 0.9 to 1.7, three seeds; 10× "
                         "more (300,000 pictures, an extrapolation beyond the 1,000 to 30,000 "
                         "measured) is predicted to give 33.2 AP, 95 % interval ")
  assert text.endswith(" with every bend that these sizes allow.")


def test_raw_units_and_a_size_inside():
  text = said(rows(0.013, THREE), scale=1, more=0.5)
  assert text.startswith("+0.013 AP per 10× pictures, 95 % interval 0.009 to 0.017, three seeds; ")
  assert "0.5× the largest size (15,000 pictures)" in text and "extrapolation" not in text


def test_two_sizes_do_not_tell_whether_the_line_goes_on():
  assert said(rows(0.013, THREE, SIZES[:2])).endswith(
      ", if the line goes on, which two sizes do not tell.")


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
def test_a_bend_forbids_to_predict_by_the_line(less, told):
  noise = (-1e-4, 0.0, 1e-4)
  table = [(n, s, v - less * np.log10(n / 1000) ** 2) for n, s, v in rows(0.1, noise)]
  text = said(table)
  assert text.endswith(f"three seeds; the gain {told} with size, so the line predicts nothing "
                       "beyond the sizes.")
  assert "predicted" not in text


def test_no_prediction_is_outside_what_the_metric_can_be():
  steep = rows(0.3, THREE)
  assert said(steep).endswith(
      "; at 10× more (300,000 pictures, an extrapolation beyond the 1,000 to 30,000 measured) the "
      "line leaves the range of AP, so it predicts nothing there.")
  falling = [(n, s, 0.6 - v) for n, s, v in rows(0.15, THREE)]
  assert "the line leaves the range of AP" in said(falling)
  near = said(rows(0.275, (-0.01, 0.0, 0.01)))
  assert "predicted to give 98.1 AP" in near and " to 100.0 with" in near
  assert "to give −4.1 AP" in said([(n, s, v - 0.7) for n, s, v in rows(0.145, THREE)])
  assert "predicted to give 104.3" in said([(n, s, 100 * v) for n, s, v in steep], scale=1)


def test_what_is_left_out_of_half_a_study_is_named():
  table = rows(0.013, (*THREE, 0.0, 0.0))
  some = lambda *counts: [row for row in table if row[1] < counts[SIZES.index(row[0])]]
  assert ", three seeds, without seeds 3 and 4 (not at every size); 10×" in said(some(5, 4, 3, 3))
  assert ", five seeds, without size 30,000 (one seed); 10× more (100,000" in said(some(5, 5, 5, 1))
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


@pytest.mark.parametrize("truth,noise,start", [
    (lambda x: 0.6 - 0.4 * 10 ** (-0.5 * x), 1e-3, "The data prefer a curve that saturates, at 6"),
    (lambda x: 0.1 + 0.05 * x, 1e-4, "Over these sizes the data prefer the line"),
    (lambda x: 0.1 + 0.05 * x, 0.1, "A line in log10 of pictures and a curve that saturates are"),
    (lambda x: 0.1 + 0.05 * x ** 2, 1e-4, "The gain per 10× pictures grows with size")])
def test_the_preferred_curve_is_named(truth, noise, start):
  rng = np.random.default_rng(1)
  table = [(n, s, truth(np.log10(n / 1000)) + noise * rng.normal())
           for n in np.geomspace(1000, 1e5, 8) for s in range(3)]
  text = sentences.preference(power_law.saturating(curve.curve(table)), "AP")
  assert text.startswith(start) and "three seeds" in text
  assert ("predicted to give" in text) == (truth(4) < 0.6 and "saturates, at" in text)
  one = sentences.preference(power_law.saturating(curve.curve(table[::3])), "AP")
  assert one == ("A line in log10 of pictures and a curve that saturates are not distinguishable, "
                 "by one seed.")


def test_a_preferred_curve_predicts_where_the_line_does_not():
  rng = np.random.default_rng(2)
  table = [(n, s, 0.6 - 0.4 * (n / 1000) ** -0.5 + 1e-3 * rng.normal())
           for n in np.geomspace(1000, 1e5, 8) for s in range(3)]
  text = sentences.preference(power_law.saturating(curve.curve(table)), "AP")
  at = 100 * (0.6 - 0.4 * 1000 ** -0.5)
  value, low, high = re.search(r"10× more \(1,000,000 pictures.*give ([\d.]+) AP, 95 % interval "
                               r"([\d.]+) to ([\d.]+)\.$", text).groups()
  assert float(low) < at < float(high) and float(value) == pytest.approx(at, abs=0.5)


def test_no_asymptote_is_outside_what_the_metric_can_be():
  rng = np.random.default_rng(3)
  table = [(n, s, 1.3 - 1.2 * (n / 1000) ** -0.2 + 1e-4 * rng.normal())
           for n in np.geomspace(1000, 1e5, 8) for s in range(3)]
  text = sentences.preference(power_law.saturating(curve.curve(table)), "AP")
  assert text.startswith("The data prefer a curve that saturates, but do not tell at what value, "
                         "by three seeds")
