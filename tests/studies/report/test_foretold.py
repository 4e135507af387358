"""The forecasts of a page are those of its numbers, and the report leads with them."""

from __future__ import annotations

import numpy as np
import pytest

from jft_reps.studies import forecast
from jft_reps.studies.report import foretold, html, markdown, sections
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.rows import PageRows, Row

SIZES = (100, 300, 1000, 3000)


def page(**more) -> Page:
  return Page("sizes", "Sizes", {"test/AP": "AP"}, {"a": {"arm": "a"}, "b": {"arm": "b"}},
              x="pictures", **more)


def rows(of: Page, arms=("a", "b"), sizes=SIZES, unit=1.0) -> PageRows:
  return PageRows(of, [Row(arm, str(seed), float(n),
                           {"AP": unit * (1 - 0.9 * (n / 100) ** -0.2 + 0.001 * seed)})
                       for arm in arms for n in sizes for seed in range(2)])


def test_fractions_are_foretold_in_percent_by_the_forecaster():
  found, without = foretold.of_page(page(), rows(page()))
  assert not without and [one.name for one in found] == ["a", "b"]
  table = rows(page(), ("a",))
  expected = np.array(forecast.fit([row.x for row in table], [row.values["AP"] for row in table],
                                   higher_is_better=True).at([30_000.0])).ravel()
  far = found[0].predictions[2]
  assert far.size == 30_000
  assert (far.value, far.low, far.high) == pytest.approx(tuple(100 * expected))
  assert foretold.table(found).rows[2][:3] == ("a", "30,000", "10×")


def test_losses_are_foretold_as_losses():
  of = page(higher_is_better=False, chance=None)
  table = rows(of, ("a",), unit=-1.0)
  losses = PageRows(of, [Row(r.arm, r.seed, r.x, {"AP": 3 + r.values["AP"]}) for r in table])
  (found,), without = foretold.of_page(of, losses)
  assert found.predictions[0].value < min(found.values)
  assert without == ["b: no forecast (0 different sizes; expected at least 3)."]


def test_too_few_sizes_and_nothing_learnt_are_said():
  found, without = foretold.of_page(page(), rows(page(), ("a",), SIZES[:2]))
  assert not found and without[0] == "a: no forecast (2 different sizes; expected at least 3)."
  assert foretold.of_page(Page("arms", "Arms", {"test/AP": "AP"}, {"a": {}}), rows(page())) == (
      [], [])


def test_sentences_give_the_answer_and_then_the_back_test():
  found, _ = foretold.of_page(page(), rows(page(), ("a",)))
  answer, test = foretold.sentences(found)
  assert answer.startswith("a: ten times more pictures bring the AP (%) from ")
  assert test.startswith("a: back-test: from the smaller sizes, 3,000 pictures were foretold at ")
  found, _ = foretold.of_page(page(), rows(page(), ("a",), SIZES[:3]))
  assert foretold.sentences(found)[1] == "a: no back-test, which takes four sizes."


def test_a_section_leads_with_them():
  of = page()
  table = rows(of)
  forecasts, _ = foretold.of_page(of, table)
  section = sections.Section("sizes", "Sizes", "8 runs", "", forecasts, b"PNG", b"plot", [], ["s"],
                             [], [], [], None, [], table)
  shown = html.page("Study", [], [section], [])
  assert shown.index(foretold.TITLE) < shown.index("UE5H") < shown.index("cGxvdA")  # PNG, plot
  text = markdown.page("Study", [], [section], [])
  assert text.index(foretold.TITLE) < text.index("sizes_forecast.png") < text.index("sizes.png")
