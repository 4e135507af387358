"""Sentences say what the intervals separate, in the asked units, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from jft_reps.errors import DataError
from jft_reps.studies import fits, power_law, sentences

SIZES = (1000, 3000, 10_000, 30_000)


def rows(gain: float, own: tuple[float, ...], sizes=SIZES) -> list[tuple]:
  """Lines through 0.3 at the smallest size; `own` is what each seed adds to the gain."""
  return [(n, s, 0.3 + (gain + extra) * np.log10(n / sizes[0]))
          for n in sizes for s, extra in enumerate(own)]


def said(table, **kwargs) -> str:
  return sentences.data_size(fits.log_linear(fits.curve(table)), "AP", **kwargs)


THREE = (-0.0016, 0.0, 0.0016)


def test_a_gain_its_interval_seeds_and_a_marked_prediction():
  text = said(rows(0.013, THREE))
  assert text.startswith("+1.3 AP per 10× pictures, 95 % interval 0.9 to 1.7, three seeds; 10× "
                         "more (300,000 pictures, an extrapolation beyond the 1,000 to 30,000 "
                         "measured) is predicted to give 33.2 AP, 95 % interval ")


def test_raw_units_and_a_size_inside():
  text = said(rows(0.013, THREE), scale=1, more=0.5)
  assert text.startswith("+0.013 AP per 10× pictures, 95 % interval 0.009 to 0.017, three seeds; ")
  assert "0.5× the largest size (15,000 pictures)" in text and "extrapolation" not in text


def test_no_gain_is_claimed_where_the_interval_holds_zero():
  text = said(rows(0.003, (-0.002, 0.0, 0.002)))
  assert text == ("No gain can be told: +0.3 AP per 10× pictures, 95 % interval −0.2 to 0.8, "
                  "three seeds.")


def test_an_interval_just_off_zero_is_not_printed_as_zero():
  text = said(rows(0.0042, THREE))
  assert text.startswith("+0.42") and "interval 0.008 to 0.832" in text


def test_numbers_that_never_change_gain_nothing():
  assert said([(n, s, 0.5) for n in SIZES for s in range(3)]).startswith("No gain can be told: ")


def test_one_seed_has_no_interval_over_seeds():
  rng = np.random.default_rng(0)
  table = [(n, 0, v + 0.001 * rng.normal()) for n, _, v in rows(0.05, (0.0,))]
  assert "one seed: of the scatter about the line, no interval over seeds; 10× more" in said(table)
  assert said(table[:2]).startswith("No gain can be told: ") and "no interval." in said(table[:2])


def test_a_bend_forbids_to_trust_the_line():
  noise = (-1e-4, 0.0, 1e-4)
  table = [(n, s, v - 0.02 * np.log10(n / 1000) ** 2) for n, s, v in rows(0.1, noise)]
  assert said(table).endswith("But the gain falls with size, so the line is no guide beyond the "
                              "sizes.")


def test_two_curves_are_ordered_only_where_the_interval_of_their_difference_is():
  many, few = rows(0.03, THREE), rows(0.01, THREE[::-1])
  names = ("fine-tuned", "frozen")
  assert sentences.comparison(many, few, names, "AP").startswith(
      "fine-tuned gains +2.0 AP per 10× pictures more than frozen, 95 % interval 1.2 to 2.8, three")
  assert sentences.comparison(few, many, names, "AP").startswith("frozen gains +2.0 AP per 10× "
                                                                 "pictures more than fine-tuned")
  same = sentences.comparison(rows(0.011, THREE), few, names, "AP")
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
  text = sentences.preference(power_law.saturating(fits.curve(table)), "AP")
  assert text.startswith(start)
