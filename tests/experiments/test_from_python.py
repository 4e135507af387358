"""What a user of the tables writes: two lines of Python, or one entry of ROWS."""

from __future__ import annotations

import json

import pytest

from experiments import table2_coco
from jft_reps import workflows
from jft_reps.workflows import configuration


@pytest.mark.slow
def test_two_lines_train_a_row_of_a_table(root, tmp_path):
  tiny = {"train.steps": 2, "train.checkpoint_every": 2, "schedule.warm_up": 0, "schedule.steps": 2,
          "schedule.start": 1, "init.checkpoint": "", "toy_world.splits": {
              "boxes_train": [4, 1], "boxes_dev": [2, 1], "boxes_test": [2, 1]}}
  config = workflows.load(root / "experiments" / "table2_coco.py:300M,laptop", tiny)
  assert workflows.train(config, tmp_path / "run") == 2
  run = tmp_path / "run"
  assert json.loads((run / "DONE").read_text())["step"] == 2
  for name in ("config.json", "run_card.md", "metrics.jsonl"):
    assert (run / name).stat().st_size, name
  assert json.loads((run / "config.json").read_text())["task"]["name"] == "detect"
  assert list(run.glob("ckpt-2*")) and (run / "records" / "manifest-boxes_train.json").exists()


def test_a_row_of_table_2_is_one_entry(monkeypatch, root):
  mine = {"init.checkpoint": "MINE", "task.batch_norm": "recalibrate"}
  monkeypatch.setitem(table2_coco.ROWS, "mine", mine)
  plain, made = (configuration.flat(table2_coco.get_config(row)) for row in ("300M", "mine"))
  assert {key: made[key] for key in made if made[key] != plain[key]} == mine
  small = table2_coco.get_config("mine,laptop")
  assert small.init.checkpoint == "MINE" and small.train.steps == 1200
  frozen = table2_coco.get_config("mine,frozen")
  assert frozen.task.frozen_through == "conv4" and frozen.task.batch_norm == "recalibrate"


def test_an_entry_written_into_the_file_is_a_row_of_the_programs(root, tmp_path):
  text = (root / "experiments" / "table2_coco.py").read_text()
  file = tmp_path / "own_table.py"
  entry = '    "mine": {"init.checkpoint": "X"},\n'
  file.write_text(text.replace("ROWS = {\n", f"ROWS = {{\n{entry}", 1))
  assert workflows.load(f"{file}:mine,laptop").init.checkpoint == "X"
