"""A page is data: what a plan's module writes down, compared by value."""

from __future__ import annotations

import dataclasses

import pytest

from jft_reps.studies.report.pages import Page, PaperNumber


def test_pages_are_values_that_nobody_changes():
  number = PaperNumber("300M", "AP", 0.367, "Table 2", "memory")
  page = Page("table2", "Table 2", {"coco/AP": "AP"}, {"300M": {"start": "300M"}}, paper=[number])
  assert page == dataclasses.replace(page)
  assert (page.x, page.pairs, page.gained, page.says) == ("", (), None, "")
  with pytest.raises(dataclasses.FrozenInstanceError):
    number.value = 1.0


def test_a_page_without_some_arms_says_nothing_of_them():
  page = Page("p", "P", {"x": "X"}, {arm: {} for arm in "abcd"}, pairs=[("a", "b"), ("a", "c")],
              interactions=[(("a", "b"), ("c", "d"))], gained=("a", "d"))
  assert page.restricted("abcd").interactions == ((("a", "b"), ("c", "d")),)
  fewer = page.restricted("abc")
  assert (fewer.pairs, fewer.interactions, fewer.gained) == ((("a", "b"), ("a", "c")), (), None)
