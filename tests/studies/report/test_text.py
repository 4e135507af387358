"""Sentences hold the slopes and differences that were put in, and order nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from jft_reps.studies.report import text as report_text
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.rows import PageRows, Row

METRICS = {"t: AP": "AP"}


def _page(x="", pairs=(("a", "b"),), **rest) -> Page:
  return Page("p", "P", METRICS, {"a": {}, "b": {}}, x=x, pairs=pairs, **rest)


def _rows(page, values) -> PageRows:
  """Rows of values by (arm, seed, x)."""
  return PageRows(page, [Row(arm, str(seed), x, {"AP": v}) for (arm, seed, x), v in values.items()])


def _curve(arm, sizes, slope, noise=0.003, seeds=5):
  rng = np.random.default_rng([ord(arm), len(sizes)])
  return {(arm, s, n): 0.1 + slope * np.log10(n / 100) + rng.normal(0, noise)
          for n in sizes for s in range(seeds)}


def _numbers(text) -> list[float]:
  return [float(t.replace("−", "-")) for t in re.findall(r"[+−]?\d+\.\d+", text)]


def test_known_slopes_are_told_with_intervals_that_hold_them():
  page, sizes = _page("pictures"), (100, 1000, 10_000, 100_000)
  values = _curve("a", sizes, 0.06) | _curve("b", sizes, 0.02)
  first, second, gains, largest = report_text.of_page(page, _rows(page, values))
  for sentence, arm, slope in ((first, "a", 6.0), (second, "b", 2.0)):
    means = [np.mean([values[arm, s, n] for s in range(5)]) for n in sizes]
    gain, low, high = _numbers(sentence)[:3]
    assert sentence.startswith(f"{arm}: ") and low < slope < high
    assert gain == pytest.approx(100 * np.polyfit(np.log10(sizes), means, 1)[0], abs=0.051)
  assert gains.startswith("a gains +") and _numbers(gains)[0] == pytest.approx(4.0, abs=0.3)
  assert largest.startswith("a is above b at 100,000 pictures by +11.7")


def test_a_paired_difference_is_that_of_the_t_test():
  page, rng = _page(), np.random.default_rng(3)
  seeds = rng.normal(0.3, 0.1, 5)
  a, b = seeds + rng.normal(0, 0.01, 5), seeds + 0.05 + rng.normal(0, 0.01, 5)
  values = {(arm, s, None): v for arm, each in (("a", a), ("b", b)) for s, v in enumerate(each)}
  (sentence,) = report_text.of_page(page, _rows(page, values))
  low, high = stats.ttest_rel(b, a).confidence_interval(0.95)
  assert sentence.startswith("b is above a by +")
  assert _numbers(sentence) == pytest.approx([100 * np.mean(b - a), 100 * low, 100 * high], abs=0.1)
  assert stats.ttest_ind(a, b).pvalue > 0.05  # the seeds hide it without pairs


@pytest.mark.parametrize("seeds", [2, 3, 4, 5])
def test_an_order_takes_five_seeds_however_clear_it_looks(seeds):
  values = {(arm, s, None): v + 0.001 * ((s * s + ord(arm)) % 3)
            for arm, v in (("a", 0.5), ("b", 0.3)) for s in range(seeds)}
  (told,) = report_text.of_page(_page(), _rows(_page(), values))
  four = report_text.interaction(CROSSED, _four(seeds=seeds), "AP", 100.0)
  if seeds < 5:
    assert told.startswith("a less b: +20.") and f"{seeds} seeds; an order takes 5 seeds." in told
    assert "gains more" not in four
  else:
    assert told.startswith("a is above b by +20.") and "300M gains more" in four


def test_what_is_not_separated_is_not_ordered():
  same = {(arm, s, None): 0.3 + 0.01 * ((s * 7 + ord(arm)) % 5) for arm in "ab" for s in range(5)}
  (sentence,) = report_text.of_page(_page(), _rows(_page(), same))
  assert sentence.startswith("a and b are not separated: ") and "above" not in sentence
  one = {("a", 0, None): 0.5, ("b", 0, None): 0.3, ("b", 1, None): 0.1}
  (sentence,) = report_text.of_page(_page(), _rows(_page(), one))
  assert sentence == ("a less b: +20.0 AP of one seed, which gives no interval and so no order.")
  (sentence,) = report_text.of_page(_page(), _rows(_page(), {("a", 0, None): 0.5}))
  assert sentence == "a and b: no seed of which both are done."
  assert report_text.of_page(_page(), _rows(_page(), {})) == []


def test_training_curves_are_compared_where_both_have_been():
  page = _page("step")
  values = {(arm, s, x): 0.1 + 0.001 * s + (0.1 if arm == "a" and x < 60 else 0.0) +
            1e-4 * ((s + x // 10 + ord(arm)) % 3)
            for arm in "ab" for s in range(5) for x in (20, 40, 60, 80, *((90,) * (arm == "a")))}
  told = report_text.of_page(page, _rows(page, values))
  assert [s.split(" by ")[0].split(": ")[0] for s in told] == [
      "a is above b at step 20", "a is above b at step 40", "a and b are not separated at step 60",
      "a and b are not separated at step 80"]


def test_half_a_study_is_compared_by_what_both_have():
  page, sizes = _page("pictures"), (100, 1000, 10_000)
  values = _curve("a", sizes, 0.05) | _curve("b", sizes, 0.05)
  del values["a", 0, 1000]
  values = {k: v for k, v in values.items() if k[0] == "a" or k[2] < 10_000}
  *_, gains, largest = report_text.of_page(page, _rows(page, values))
  assert "6 runs without a partner are left out" in gains and "at 1,000 pictures" in largest


def test_one_seed_of_a_data_size_page_orders_nothing():
  page, sizes = _page("pictures"), [100 * 3 ** i for i in range(6)]
  values = _curve("a", sizes, 0.06, seeds=1) | _curve("b", sizes, 0.02, seeds=1)
  told = report_text.of_page(page, _rows(page, values))
  assert len(told) == 4 and all("one seed" in sentence for sentence in told)
  assert not re.search("predict|prefer|interval [+−0-9]|gains [+−]|above", " ".join(told))


CROSSED = (("300M, deep", "ImageNet, deep"), ("300M, base", "ImageNet, base"))


def _four(seed=0, more=0.05, seeds=5):
  rng = np.random.default_rng(seed)
  shared = rng.normal(0.3, 0.1, seeds)
  return [shared + up + rng.normal(0, 0.01, seeds) for up in (0.1 + more, 0.0, 0.12, 0.02)]


def test_a_difference_of_differences_is_that_of_the_t_test():
  a1, b1, a2, b2 = _four()
  test = stats.ttest_1samp(a1 - b1 - (a2 - b2), 0).confidence_interval(0.95)
  text = report_text.interaction(CROSSED, (a1, b1, a2, b2), "AP", 100.0)
  assert text.startswith("300M gains more over ImageNet with deep than with base: +")
  assert _numbers(text) == pytest.approx([
      100 * np.mean(a1 - b1), 100 * np.mean(a2 - b2), 100 * np.mean(a1 - b1 - a2 + b2),
      100 * test.low, 100 * test.high], abs=0.051) and text.endswith("5 seeds.")
  turned = report_text.interaction(CROSSED[::-1], (a2, b2, a1, b1), "AP", 100.0)
  assert turned == text
  plain = report_text.interaction((("a", "b"), ("c", "d")), (a1, b1, a2, b2), "AP", 100.0)
  assert plain.startswith("a gains more over b than c over d: +")


def test_differences_of_differences_are_not_ordered_without_an_interval_that_separates_them():
  what = "What 300M gains over ImageNet with deep and with base"
  same = report_text.interaction(CROSSED, tuple(_four(more=0.0)), "AP", 100.0)
  assert same.startswith(f"{what} is not separated: ") and "more" not in same
  one = report_text.interaction(CROSSED, ([0.5], [0.3], [0.4], [0.3]), "AP", 100.0, " at step 9")
  assert one == (f"{what} at step 9 cannot be ordered: they differ by +10.0 AP of one seed, which "
                 "gives no interval and so no order.")
  none = report_text.interaction(CROSSED, ([], [], [], []), "AP", 100.0)
  assert none == f"{what} cannot be compared: no seed of which all four are done."


@pytest.mark.parametrize("x,where", [("", ""), ("pictures", " at 1,000 pictures"),
                                     ("step", " at step 1,000")])
def test_a_page_compares_differences_by_the_seeds_that_all_four_have(x, where):
  arms = [arm for pair in CROSSED for arm in pair]
  page = Page("p", "P", METRICS, dict.fromkeys(arms, {}), x=x, interactions=[CROSSED])
  four = _four()
  values = {(arm, s, n if x else None): v for arm, each in zip(arms, four)
            for s, v in enumerate(each) for n in (100, 1000)}
  values = {key: v for key, v in values.items() if key[:2] != (arms[3], 4)}
  if x:
    values |= {(arm, 0, 9000): 0.5 for arm in arms[:3]}
  *_, text = report_text.of_page(page, _rows(page, values))
  expected = report_text.interaction(CROSSED, tuple(v[:4] for v in four), "AP", 100.0, where)
  assert text == expected and "4 seeds" in text
  assert page.restricted(arms).interactions == (CROSSED,)
  assert page.restricted(arms[:3]).interactions == ()


@pytest.mark.parametrize("protocol, told", [
    ("steps", "same number of steps"), ("epochs", "same number of epochs"), ("", "not stated"),
    ("4 epochs of each", "Protocol: 4 epochs of each.")])
def test_the_protocol_is_named(protocol, told):
  assert told in report_text.protocol(_page("pictures", protocol=protocol))


def test_an_absurd_number_of_sizes_is_not_fitted():
  page = _page("pictures", pairs=())
  values = {("a", 0, float(n)): 0.5 for n in range(1, 150)}
  assert report_text.of_page(page, _rows(page, values))[0] == "a: no fit (149 sizes and 1 seeds)."
