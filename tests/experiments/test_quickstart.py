"""The quickstart as its user runs it: end to end in small, and with wrong arguments."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from experiments import quickstart
from jft_reps.apps import command_line


@pytest.mark.parametrize("arguments,message", [
    ([], "--workdir: missing"), (["--workdir=x", "y"], "y: an argument that is no flag"),
    (["--workdir=x", "--steps=0"], "steps"), (["--workdir=x", "--setps=9"], "setps")])
def test_wrong_arguments_are_one_line_and_exit_code_1(arguments, message, capsys):
  assert command_line.run(quickstart.main, ["quickstart", *arguments]) == 1
  said = capsys.readouterr().err
  assert said.startswith("jft_reps: error[flags]: ") and message in said
  assert said.count("\n") == 1


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


@pytest.mark.slow
def test_the_quickstart_learns_what_it_promises(root, tmp_path):
  """A quarter of the way to the ideal scorer, and three times random weights over the leaves."""
  result = subprocess.run(
      [sys.executable, "-m", "experiments.quickstart", f"--workdir={tmp_path}"], cwd=root,
      capture_output=True, text=True, timeout=900, check=False)
  assert result.returncode == 0, result.stderr[-3000:]
  lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
  first, *_, last = [m for m in lines if m["event"] == "eval"]
  share = (last["fasteval/mAP@100"] - first["fasteval/mAP@100"]) / (1 - first["fasteval/mAP@100"])
  assert last["step"] == 4500 and share >= 0.25
  assert last["fasteval/leaves"] >= 3 * first["fasteval/leaves"]
