"""What a page says: how well the paper's word is known, what metrics are, each moment once."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from jft_reps.errors import ConfigError
from jft_reps.studies.plan import Run
from jft_reps.studies.report import markdown, plots, sections
from jft_reps.studies.report import rows as report_rows
from jft_reps.studies.report.pages import Page
from jft_reps.studies.running.results import RunResult

PAGE = Page("p", "P", {"coco/AP": "AP"}, {"a": {"start": "a"}, "b": {"start": "b"}},
            says="More is better.")


def _results(*runs):
  return [RunResult(f"i{i}", Run(f"r{i}", "c.py", tags={"seed": i, **tags}), "done" if numbers else
                 "left", numbers=numbers, files={"definitions.json": definitions})
          for i, (tags, numbers, definitions) in enumerate(runs)]


@pytest.mark.parametrize("mark, told", [
    ("seed", "The paper: More is better."), ("found", "The paper: More is better."),
    ("memory", "Remembered of the paper, not verified: More is better."), ("", "More is better.")])
def test_the_papers_word_says_how_well_it_is_known(mark, told):
  page = dataclasses.replace(PAGE, says_mark=mark)
  results = _results(({"start": "a"}, {"coco/AP": 0.1}, {}))
  assert sections.section(page, results).says == told


@pytest.mark.parametrize("change, found", [
    ({"says_mark": "sure"}, "says_mark='sure'"),
    ({"interactions": [(("a", "b"), ("a", "q"))]}, "no arm 'q'")])
def test_a_page_that_says_more_than_it_can_is_refused(change, found):
  with pytest.raises(ConfigError, match=found):
    sections.check([dataclasses.replace(PAGE, **change)])


def test_a_step_beside_the_last_is_that_moment_again():
  page = dataclasses.replace(PAGE, x="step")
  steps = lambda *at: {f"coco/AP at step {step}": step / 1e4 for step in at}
  found = sections.section(page, _results(
      ({"start": "a"}, steps(0, 1998, 3959, 3996, 4000), {}), ({"start": "b"}, steps(3996), {})))
  assert found.rows.sizes("a") == [0, 1998, 3959, 4000] and found.rows.sizes("b") == [3996]


def test_metrics_are_defined_by_the_runs_or_else_by_the_page():
  page = dataclasses.replace(PAGE, metrics={"coco/AP": "AP", "coco/AP50": "AP50"}, definitions={
      "AP": "AP: of the page.", "AP50": "AP50: of the page."})
  of = lambda *texts: sections.section(page, _results(*(
      ({"start": "a"}, {"coco/AP": 0.1}, text) for text in texts))).definitions
  assert of({}) == ["AP: of the page.", "AP50: of the page."]
  assert of({"test": "COCO AP of 3 classes"}, {"test": "COCO AP of 4 classes"}) == [
      "test: COCO AP of 3 classes (and 1 more that differ in their numbers alone)",
      "AP50: of the page."]
  assert of({"boxes": "AP and AP50"}, {"test": "AP and AP50"}) == [
      "boxes, test: AP and AP50"]
  assert of({"boxes": "AP and AP50 of 3"}, {"test": "AP and AP50 of 4"}) == [
      "boxes, test: AP and AP50 of 3 (and 1 more that differ in their numbers alone)"]


def test_a_table_is_drawn_from_zero_with_the_arms_that_have_no_number():
  results = _results(*(({"start": "a"}, {"coco/AP": ap}, {}) for ap in (0.94, 0.95)),
                     ({"start": "b"}, None, {}))
  rows, _ = report_rows.rows(PAGE, results)
  image = lambda page: np.asarray(Image.open(io.BytesIO(plots.png(page, rows)))
                                  .convert("RGB")).astype(int)
  whole, alone = image(PAGE), image(PAGE.restricted("a"))
  assert whole.shape[0] > alone.shape[0]
  blue = np.argwhere((np.abs(alone - (0, 0x72, 0xB2)) < 9).all(2))
  assert blue[:, 1].min() > 0.5 * alone.shape[1]  # 94 of an axis from 0


def test_a_block_of_a_readme_says_the_deviations(tmp_path):
  page = dataclasses.replace(PAGE, deviations=["Toys <stand> for it.", "Less."])
  rows, _ = report_rows.rows(page, _results(({"start": "a"}, {"coco/AP": 0.1}, {})))
  (tmp_path / "p.csv").write_text(report_rows.csv_text(page, rows))
  block = markdown.readme_block(page, tmp_path / "p.csv")
  assert block.endswith("Other than in the paper: Toys &lt;stand&gt; for it. Less.")


def test_what_guessing_gives_is_a_row_and_a_line_where_runs_have_left_it():
  page = dataclasses.replace(PAGE, metrics={"coco/AP": "AP", "coco/AP50": "AP50"})
  results = _results(({"start": "a"}, {"coco/AP": 0.3, "coco/AP50": 0.6}, {}),
                     ({"start": "b"}, {"coco/AP": 0.4, "coco/AP50": 0.7}, {}))
  before = sections.section(page, results)
  assert not any("guessing" in row for row in before.tables[0].rows)
  left = [{"coco/AP": 0.1}, {"coco/AP": 0.125, "coco/AP50": "a lot"}]
  found = sections.section(page, [dataclasses.replace(r, files={"chance.json": chance})
                                  for r, chance in zip(results, left)])
  assert list(found.tables[0].rows[-1]) == ["guessing", "–", "10.0 to 12.5", "n/a"]
  assert list(found.tables[0].rows[:-1]) == list(before.tables[0].rows)
  assert found.plot != before.plot
  assert report_rows.csv_text(page, found.rows) == report_rows.csv_text(page, before.rows)
