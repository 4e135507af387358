"""The comparison of starts: rates are chosen on the validation split, runs are never mixed."""

from __future__ import annotations

import csv
import json
import pathlib

import pytest

from experiments import paired_starts, table1_imagenet, table1_laptop
from jft_reps.apps import command_line, configuration

DEV_OF_RATE = {0.06: 0.4, 0.2: 0.6, 0.6: 0.5}
GAIN = {"scratch": 0.0, "scratch_3x": 0.2, "fine-tuned": 0.3, "frozen": 0.1, "frozen_random": -0.3}


@pytest.fixture
def programs(monkeypatch):
  """Programs that resolve their configuration, write it, and answer with made numbers."""
  calls = []

  def program(name, *arguments):
    calls.append((name, arguments))
    values = dict(a.removeprefix("--").split("=", 1) for a in arguments)
    workdir = pathlib.Path(values["workdir"])
    config = table1_imagenet.get_config(values["config"].partition(":")[2])
    configuration.override(config, {k.removeprefix("config."): v for k, v in values.items()
                              if k.startswith("config.")})
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "config.json").write_text(json.dumps(config.to_dict()))
    arm, seed = workdir.name.rsplit("_", 1)[0], int(workdir.parent.name.removeprefix("seed"))
    arm = arm if name != "probe" else workdir.name
    dev = DEV_OF_RATE.get(config.schedule.initial, 0.0)
    test = 0.5 + GAIN[arm] + 0.01 * seed + (0.003 * seed if arm == "fine-tuned" else 0)
    # On the test split another rate than the chosen one looks best.
    test += 0.09 if config.schedule.initial == 0.6 else 0
    numbers = dict(zip(table1_laptop.NUMBERS, (dev, test, 0.9)))
    if name == "probe":
      (workdir / "probe.json").write_text(json.dumps({"values": numbers}))
    return json.dumps(numbers)

  monkeypatch.setattr(paired_starts, "program", program)
  return calls


def run(tmp_path, *more):
  return command_line.run(table1_laptop.main, [
      "table1_laptop", f"--workdir={tmp_path}", "--pretrained=/p/seed{seed}", "--seeds=3", *more])


def test_rates_are_chosen_on_validation_and_differences_are_of_the_chosen(
    programs, tmp_path, capsys):
  assert run(tmp_path) == 0
  with open(tmp_path / "table1_laptop.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 3 * (3 * 3 + 2)
  chosen = [r for r in rows if r["chosen"] == "1"]
  assert {(r["arm"], r["rate"]) for r in chosen} == {
      ("scratch", "0.2"), ("scratch_3x", "0.2"), ("fine-tuned", "0.2"), ("frozen", "0.0"),
      ("frozen_random", "0.0")}
  assert {r["steps"] for r in rows if r["arm"] == "scratch_3x"} == {"1800"}
  out = capsys.readouterr().out
  assert "fine-tuned − scratch: +0.303" in out and "frozen − scratch_3x: -0.100" in out
  starts = {a for name, arguments in programs for a in arguments if "init.checkpoint" in a}
  assert starts == {"--config.init.checkpoint=", *(
      f"--config.init.checkpoint=/p/seed{s}" for s in range(3))}


def test_a_second_call_starts_nothing_and_other_settings_are_refused(programs, tmp_path, capsys):
  assert run(tmp_path) == 0
  programs.clear()
  assert run(tmp_path) == 0 and programs == []
  assert run(tmp_path, "--steps=60") == 4
  assert "error[other-settings]" in capsys.readouterr().err
  assert run(tmp_path, "--pretrained=/q/seed{seed}") == 4
  assert "init.checkpoint /p/seed0; expected /q/seed0" in capsys.readouterr().err
