"""The program: one file in, sentences out, within seconds and without TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jft_reps.apps import command_line
from jft_reps.apps import forecast as program

CURVE = "pictures,value\n1e4,0.60\n3e4,0.50\n1e5,0.41\n3e5,0.35\n1e6,0.31\n"


@pytest.fixture
def curve(tmp_path):
  path = tmp_path / "curve.csv"
  path.write_text(CURVE)
  return str(path)


def test_it_answers_everything(curve, tmp_path, capsys):
  arguments = [curve, "--at", "4e6,2e7", "--target=0.28", "--next", "--cost_per_picture=0.01",
               "--hours_per_run=3", f"--output={tmp_path / 'out'}"]
  assert command_line.run(program.main, ["forecast", *arguments]) == 0
  out = capsys.readouterr().out
  for part in ("ten times more pictures bring the error from 0.31", "20 million", "95 % interval",
               "the next doubling gains", "and costs 10,000", "6 hours a run", "0.28 takes",
               "train ", "back-test:", "note: one seed per size"):
    assert part in out
  assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
      "forecast.csv", "forecast.html", "forecast.json", "forecast.png", "forecast.svg"]


def test_flags_may_stand_before_the_file(curve, capsys):
  assert command_line.run(program.main, ["forecast", "--target", "0.28", curve]) == 0
  assert "0.28 takes" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, part", [
    ([], "CURVE.csv and --study: neither"), (["{}", "two.csv"], "two.csv"),
    (["{}", "--at=x"], "--at"), (["none.csv"], "curve-file"),
    (["{}", "--study=DIR"], "CURVE.csv and --study: both"),
    (["--study=DIR", "--best=1"], "--study: with"), (["{}", "--chance=0.5"], "curve.csv:2"),
    (["{}", "--target=2"], "forecast-target")])
def test_one_line_on_what_is_wrong(curve, capsys, arguments, part):
  given = [argument.format(curve) for argument in arguments]
  assert command_line.run(program.main, ["forecast", *given]) in (1, 2)
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == 1 and part in lines[0]


def test_no_tensorflow_and_no_matplotlib(curve):
  code = ("import sys; from jft_reps.apps import command_line, forecast\n"
          f"assert command_line.run(forecast.main, ['forecast', {curve!r}]) == 0\n"
          "assert not {'tensorflow', 'matplotlib'} & set(sys.modules)")
  subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
