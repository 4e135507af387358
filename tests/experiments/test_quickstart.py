"""The quickstart as its user runs it: end to end in small, and with wrong arguments."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from experiments import quickstart
from jft_reps import program


@pytest.mark.parametrize("arguments,message", [
    ([], "--workdir: missing"), (["--workdir=x", "y"], "y: an argument that is no flag"),
    (["--workdir=x", "--steps=0"], "steps"), (["--workdir=x", "--setps=9"], "setps")])
def test_wrong_arguments_are_one_line_and_exit_code_1(arguments, message, capsys):
  assert program.run(quickstart.main, ["quickstart", *arguments]) == 1
  said = capsys.readouterr().err
  assert said.startswith("jft_reps: error[flags]: ") and message in said
  assert said.count("\n") == 1


@pytest.fixture(scope="module")
def quickstart_run(root, tmp_path_factory):
  """The quickstart with two thirds of its steps and pictures, and its folder."""
  folder = tmp_path_factory.mktemp("quickstart")
  result = subprocess.run(
      [sys.executable, "-m", "experiments.quickstart", f"--workdir={folder}", "--steps=3000",
       "--pictures=14000"], cwd=root,
      capture_output=True, text=True, timeout=900, check=False)
  assert result.returncode == 0, result.stderr[-3000:]
  lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
  return result, folder, [m for m in lines if m["event"] == "eval"]


@pytest.mark.slow
def test_the_quickstart_ends_with_a_table_a_report_and_curves(quickstart_run):
  result, folder, evaluated = quickstart_run
  for row in ("guessing: label frequencies", "random weights", "ideal scorer"):
    assert row in result.stdout
  assert "\r" not in result.stderr, "no cursor tricks when not on a terminal"
  assert "3,000/3,000 steps" in result.stderr
  for name in ("report.md", "map100.png", "DONE", "run_card.md", "best/info.json"):
    assert (folder / name).exists(), name
  assert list((folder / "train").glob("events.*"))
  assert list((folder / "eval_fasteval").glob("events.*"))
  assert evaluated[0]["step"] == 0 and evaluated[-1]["step"] >= 3000
  ideal = next(line for line in (folder / "report.md").read_text().splitlines()
               if "ideal" in line)
  assert float(ideal.split("|")[2]) == pytest.approx(1.0)


@pytest.mark.slow
def test_the_quickstart_learns_what_it_promises(quickstart_run):
  """A quarter of the way to the ideal scorer, and three times random weights over the leaves."""
  *_, (first, *_, last) = quickstart_run
  share = (last["fasteval/mAP@100"] - first["fasteval/mAP@100"]) / (1 - first["fasteval/mAP@100"])
  assert share >= 0.25
  assert last["fasteval/leaves"] >= 3 * first["fasteval/leaves"]
