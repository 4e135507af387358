"""What is committed of the miniature: its CSVs and the README say what its archive says."""

from __future__ import annotations

import re

import pytest

from jft_reps.apps import report
from jft_reps.studies import report_files, report_rows, report_runs, report_sections, study_archive

RESULTS = "experiments/results"


@pytest.fixture(scope="module")
def study(root):
  return study_archive.read(root / RESULTS / "miniature")


@pytest.fixture
def pages(root, study, monkeypatch):
  monkeypatch.chdir(root)
  return report.load_pages(study.plan, study.overrides)


def test_the_csvs_are_those_of_the_archive(root, study, pages):
  assert study.plan == "experiments/paper.py:miniature"
  sections, _ = report_sections.sections(pages, study)
  by_name = {page.name: page for page in pages}
  for section in filter(lambda s: s.rows, sections):
    assert (root / RESULTS / f"{section.name}.csv").read_text() == report_rows.csv_text(
        by_name[section.name], section.rows), section.name


def test_the_readme_is_as_the_results_say(root, pages, tmp_path):
  text = (root / "README.md").read_text()
  assert len(re.findall("<!-- results:", text)) >= 8 and "No results yet" not in text
  (tmp_path / "README.md").write_text(text)
  assert not report_files.update_readme(tmp_path / "README.md", pages, root / RESULTS)


def test_every_trained_run_has_its_card_which_names_no_machine(root, study):
  done = [r for r in study.results if r.status == report_runs.DONE]
  assert done and all(r.seconds for r in done)
  assert {r.run.kind for r in done if not r.card} <= {"records"}
  assert all("| tensorflow version | " in r.card for r in done if r.card)
  assert not re.search(r"(?<![\w.])/(home|tmp|work|root|usr|opt)/", (
      root / RESULTS / "miniature" / study_archive.CARDS).read_text())
