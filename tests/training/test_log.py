"""What pushes say of dropped records reaches the quarantine list, with the file's name."""

from __future__ import annotations

import json

import numpy as np

from jft_reps.training import log
from jft_reps.training.run_directory import directory
from jft_reps.training.step import Push


def push(step, rows):
  return Push(step, True, 1, 0, 4, len(rows), {"loss/total": 1.0},
              np.array(rows, np.int64).reshape(-1, 4))


def test_the_quarantine_list_has_the_tasks_words_and_at_most_20_of_a_reason(tmp_path):
  files = ["train-0.tfrecord", "train-1.tfrecord"]
  pushes = log.PushLog(directory.RunDirectory(tmp_path), ["cut", "dark"], 100, 10,
                       describe=lambda rows: [f"{files[s]}, record {r}" for _, _, s, r in rows])
  for i in range(30):
    pushes(push(i + 1, [[0, 2, 1, i]]))
  pushes(push(31, [[1, 0, 0, 7]]))
  lines = [json.loads(x) for x in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
  assert len(lines) == 21
  assert lines[3] == {"reason": "cut", "shard": 1, "record": 3, "epoch": 2, "worker": 1, "step": 4,
                      "text": "train-1.tfrecord, record 3"}
  assert lines[-1]["reason"] == "dark" and lines[-1]["text"] == "train-0.tfrecord, record 7"


def test_records_left_out_are_counted_by_reason_and_read_only_when_there_are_new_ones(tmp_path):
  counted, reads = np.array([0, 2, 0]), []
  pushes = log.PushLog(directory.RunDirectory(tmp_path), ["cut", "dark"], 2, 10,
                       dropped=lambda: (reads.append(1), counted.copy())[1])
  assert pushes.left_out == "left out 2: dark 2" and len(reads) == 1  # before a restart
  for step in (1, 2):
    pushes(push(step, []))
  assert len(reads) == 1
  counted += [9, 1, 0]
  for step in (3, 4):
    pushes(push(step, [[0, 0, 0, step]]))
  assert pushes.left_out == "left out 12: cut 9, dark 3" and len(reads) == 2
  points = [json.loads(x) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
  assert [p["data/dropped"] for p in points] == [2, 12]
  assert points[1]["data/dropped/cut"] == 9 and "data/dropped/cut" not in points[0]


def test_without_a_loss_nothing_is_said(tmp_path):
  pushes = log.PushLog(directory.RunDirectory(tmp_path), ["cut"], 1, 10,
                       dropped=lambda: np.zeros(1, np.int64))
  pushes(push(1, []))
  assert pushes.left_out == ""
