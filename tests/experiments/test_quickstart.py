"""The quickstart end to end in small, as its user runs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_short_quickstart_ends_with_a_table_a_report_and_curves(root, tmp_path):
  result = subprocess.run(
      [sys.executable, "-m", "experiments.quickstart", f"--workdir={tmp_path}", "--steps=60",
       "--pictures=600"], cwd=root, capture_output=True, text=True, timeout=300, check=False)
  assert result.returncode == 0, result.stderr[-3000:]
  assert "random weights" in result.stdout and "ideal scorer" in result.stdout
  assert "\r" not in result.stderr, "no cursor tricks when not on a terminal"
  assert "60/60 steps" in result.stderr
  for name in ("report.md", "map100.png", "DONE", "run_card.md", "best/info.json"):
    assert (tmp_path / name).exists(), name
  assert list((tmp_path / "train").glob("events.*"))
  assert list((tmp_path / "eval_fasteval").glob("events.*"))
  lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
  evaluated = [m["step"] for m in lines if m["event"] == "eval"]
  assert evaluated[0] == 0 and evaluated[-1] >= 60
  ideal = next(line for line in (tmp_path / "report.md").read_text().splitlines()
               if "ideal" in line)
  assert float(ideal.split("|")[2]) == pytest.approx(1.0)
