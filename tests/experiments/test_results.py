"""What is committed of studies: CSVs and the README say what their archives say."""

from __future__ import annotations

import re

import pytest

from jft_reps.studies.report import files, rows
from jft_reps.studies.report import sections as report_sections
from jft_reps.studies.running import archive, results
from jft_reps.workflows.study import reporting
from jft_reps.workflows.study.plans import read_plan

RESULTS = "experiments/results"
ARCHIVES = ("miniature", "equal_epochs")


@pytest.fixture(scope="module")
def study(root):
  return archive.read(root / RESULTS / "miniature")


@pytest.fixture
def pages(root, study, monkeypatch):
  monkeypatch.chdir(root)
  return reporting.load_pages(study.plan, study.overrides)


def test_the_csvs_are_those_of_the_archive(root, study, pages, tmp_path):
  assert study.plan == "experiments/paper.py:miniature"
  sections, _ = report_sections.sections(pages, study)
  by_name = {page.name: page for page in pages}
  shown = {s.name: rows.csv_text(by_name[s.name], s.rows) for s in sections if s.rows}
  committed = {name: (root / RESULTS / f"{name}.csv") for name in by_name}
  assert {name for name, path in committed.items() if path.is_file()} == set(shown)
  for name, text in shown.items():
    assert committed[name].read_text() == text, name
  files.write_run_list(study, tmp_path / "runs.csv")
  assert (tmp_path / "runs.csv").read_text() == (root / RESULTS / "paper_runs.csv").read_text()


@pytest.mark.parametrize("name", ARCHIVES)
def test_their_runs_are_those_of_todays_plan(root, name, monkeypatch):
  """Whoever edits a configuration has to make the study again."""
  monkeypatch.chdir(root)
  archived = archive.read(root / RESULTS / name)
  ids = read_plan(archived.plan, archived.overrides)[0].ids()
  assert {r.run.name: r.id for r in archived.results} == {
      r.run.name: ids.get(r.run.name) for r in archived.results}
  assert name != "miniature" or archived.planned == len(set(ids.values()))


def test_the_readme_is_as_the_results_say(root, pages, tmp_path):
  text = (root / "README.md").read_text()
  assert len(re.findall("<!-- results:", text)) >= 8 and "No results yet" not in text
  (tmp_path / "README.md").write_text(text)
  assert not files.update_readme(tmp_path / "README.md", pages, root / RESULTS)


def test_what_the_readme_quotes_of_equal_epochs_is_in_its_report(root, monkeypatch):
  monkeypatch.chdir(root)
  archived = archive.read(root / RESULTS / "equal_epochs")
  made, _ = report_sections.sections(
      reporting.load_pages(archived.plan, archived.overrides), archived)
  said = {sentence for section in made for sentence in section.sentences}
  readme = (root / "README.md").read_text()
  quoted = re.findall(r"^> - (.+)$", readme, re.MULTILINE)
  assert len(quoted) >= 3
  for sentence in quoted:
    assert sentence in said
  reached = [100 * r.numbers["fasteval/mAP@100"] for r in archived.results
             if r.run.name.startswith("pretrain_noisy10000_s")]
  told = re.search(r"to ([\d.]+) mAP@100 by step 12,000", readme)[1]
  assert len(reached) == 5 and told == f"{sum(reached) / 5:.1f}"


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_trained_run_has_its_card_which_names_no_machine(root, name):
  done = [r for r in archive.read(root / RESULTS / name).results
          if r.status == results.DONE]
  assert done and all(r.seconds for r in done)
  assert {r.run.kind for r in done if not r.card} <= {"records"}
  assert all("| tensorflow version | " in r.card for r in done if r.card)
  assert not re.search(r"(?<![\w.])/(home|tmp|work|root|usr|opt)/", (
      root / RESULTS / name / archive.CARDS).read_text())
