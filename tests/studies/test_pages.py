"""A page is data: what a plan's module writes down, compared by value."""

from __future__ import annotations

import dataclasses

import pytest

from jft_reps.studies.pages import Page, PaperNumber


def test_pages_are_values_that_nobody_changes():
  number = PaperNumber("300M", "AP", 0.367, "Table 2", "memory")
  page = Page("table2", "Table 2", {"coco/AP": "AP"}, {"300M": {"start": "300M"}}, paper=[number])
  assert page == dataclasses.replace(page)
  assert (page.x, page.pairs, page.gained, page.says) == ("", (), None, "")
  with pytest.raises(dataclasses.FrozenInstanceError):
    number.value = 1.0
