"""A run's page: what was kept of it, its text escaped, damage passed over, nothing from outside."""

from __future__ import annotations

import json

import pytest

from jft_reps.errors import DataError
from jft_reps.studies.report import run_page

PNG = b"\x89PNG\r\n\x1a\nx"


@pytest.fixture
def run(tmp_path):
  (tmp_path / "run_card.md").write_text("# Run card\n\n| | |\n|---|---|\n| steps | 20 |\n")
  lines = [{"event": "train", "step": s, "loss/total": 1.0 / s} for s in (1, 10, 20)]
  lines += [{"event": "eval", "step": 10, "classification/top1": 0.5}]
  (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 3')
  (tmp_path / "evaluation_val.json").write_text(json.dumps({
      "set": "val", "best": "classification/top1", "step": 20, "definition": "<b>top-1</b>",
      "numbers": {"classification/top1": 0.75, "classification/pictures": 40.0},
      "chance": {"classification/top1": 0.3}}))
  (tmp_path / "evaluation_val_confusion.png").write_bytes(PNG)
  return tmp_path


def test_numbers_stand_beside_what_guessing_gives(run):
  page = open(run_page.write(run), encoding="utf-8").read()
  for part in ("0.7500", "0.3000", "Does it learn?", "taken for which: val", "<td>steps</td>"):
    assert part in page
  assert "&lt;b&gt;top-1" in page and "<b>top-1" not in page
  assert page.count("data:image/png") == 2 and "http" not in page.split("<body>")[1]


def test_what_is_damaged_is_passed_over(run):
  (run / "evaluation_val.json").write_text("{")
  (run / "evaluation_x.json").write_text("[1]")
  assert "Not evaluated yet" in open(run_page.write(run, run / "page"), encoding="utf-8").read()
  assert (run / "page" / "report.html").exists()


def test_a_set_cannot_name_a_file_elsewhere(run):
  (run / "evaluation_x.json").write_text(json.dumps({
      "set": "/../../x", "best": "a", "numbers": {"a": 1.0}, "chance": {}}))
  run_page.write(run)


def test_a_folder_without_a_run_says_so(tmp_path):
  with pytest.raises(DataError, match="the directory of a run"):
    run_page.write(tmp_path)
