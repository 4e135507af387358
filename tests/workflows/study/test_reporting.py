"""A study is selected and reported from Python, as the docstring of `workflows.study` says."""

from __future__ import annotations

import pathlib

import pytest

from jft_reps.errors import ConfigError
from jft_reps.workflows.study import plans, reporting

_ROOT = pathlib.Path(__file__).parents[3]


def test_a_part_of_a_plan_knows_what_it_is_a_part_of():
  reference = "experiments/paper.py:fig4_data_size,laptop"
  chosen = plans.select(reference, {"steps": "12"}, ["detect_noisy320_s0"])
  names = {run.name for run in chosen.plan}
  assert "detect_noisy320_s0" in names and names < {run.name for run in chosen.whole}
  assert all(chosen.whole.ids()[name] == id for name, id in chosen.plan.ids().items())
  assert (chosen.source.plan, chosen.source.overrides) == (reference, {"steps": "12"})
  assert chosen.source.config["steps"] == 12 and chosen.cluster is None
  everything = plans.select(reference, {"steps": "12"}).plan.ids()
  assert everything == plans.read_plan(reference, {"steps": "12"})[0].ids()
  with pytest.raises(ConfigError, match="no run has these tags"):
    plans.select(reference, tags={"seed": "99"})


def test_a_plan_of_full_size_says_what_a_cluster_needs():
  chosen = plans.select("experiments/paper.py:table2_coco,full", names=["detect_random_s0"])
  run = chosen.plan["detect_random_s0"]
  assert (chosen.cluster.topology(run).workers, chosen.cluster.topology(run).servers) == (9, 11)


def test_an_archive_becomes_a_report(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  archive = str(_ROOT / "experiments" / "results" / "equal_epochs")
  written = reporting.report([archive], output="out", results="res", archive="kept")
  assert written.page == "out/report.html" and not written.warning
  assert written.readme_changed is None and "runs done" in written.counts
  for section in written.sections:
    assert section.title in pathlib.Path("out/report.md").read_text() and section.rows
  # What was kept of the archive is the archive.
  for name in ("study.jsonl", "run_cards.md"):
    assert pathlib.Path("kept", name).read_bytes() == pathlib.Path(archive, name).read_bytes()
  assert sorted(map(str, pathlib.Path("res").iterdir())) == sorted(written.files[:-2])
