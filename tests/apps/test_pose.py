"""Pose through the programs: COCO's people to ten numbers and server files, averages by default."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from jft_reps.apps import build_records, command_line, evaluate
from tests.apps.test_clusters import Programs

SCHEMA = {"name": "stick", "names": ["top", "left_foot", "right_foot"], "mirror": [[1, 2]],
          "skeleton": [[0, 1], [0, 2]], "sigmas": [0.05, 0.08, 0.08]}
TINY = (
    "task.backbone.depth=14", "task.backbone.width=0.125", "task.backbone.stem=small",
    "task.crop=33,25", "task.radius=3", "task.intermediate_unit=1", "task.batch_size=2",
    "task.recalibration_pictures=4", "task.shuffle=8", "task.eval_splits=train", "train.steps=4",
    "train.checkpoint_every=4", "train.startup_delay=0", "train.ema_decay=0.5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Records of six pictures of one stick figure each, from a JSON of three keypoints."""
  folder = tmp_path_factory.mktemp("people")
  rng = np.random.default_rng(0)
  images, people = [], []
  for i in range(6):
    pixels = rng.integers(0, 60, (48, 60, 3), np.uint8)
    x, y = (int(v) for v in rng.integers(5, 25, 2))
    pixels[y:y + 18, x + 6:x + 8] = 255
    Image.fromarray(pixels).save(folder / f"{i}.png")
    images.append({"id": i + 50, "file_name": f"{i}.png", "height": 48, "width": 60})
    people.append({"id": i + 1, "image_id": i + 50, "category_id": 4, "bbox": [x, y, 14, 18],
                   "area": 200, "iscrowd": 0, "num_keypoints": 3,
                   "keypoints": [x + 7, y, 2, x + 9, y + 17, 2, x + 5, y + 17, 1]})
  (folder / "stick.json").write_text(json.dumps(SCHEMA))
  person = {"id": 4, "name": "person", "keypoints": SCHEMA["names"], "skeleton": [[1, 2], [1, 3]]}
  (folder / "people.json").write_text(json.dumps({
      "images": images, "annotations": people, "categories": [person]}))
  assert command_line.run(build_records.main, [
      "build_records", "--source=coco_keypoints", f"--input={folder}",
      f"--annotations={folder}/people.json", f"--keypoints={folder}/stick.json",
      f"--output={folder}/records", "--shards=2", "--processes=1"]) == 0
  return folder


@pytest.mark.slow
def test_people_become_a_network_with_numbers_and_server_files(root, folder, tmp_path, capsys):
  run = tmp_path / "run"
  words = ["program", "--config=experiments/table6_pose.py:random", f"--workdir={run}",
           f"--config.task.records={folder}/records", f"--config.task.schema={folder}/stick.json",
           *(f"--config.{value}" for value in TINY)]
  with Programs(root, tmp_path) as programs:
    assert programs.start("train", "train", words).wait(timeout=120) == 0, programs.said("train")
  assert "statistics of 17 layers taken from 2 batches" in programs.said("train")
  capsys.readouterr()
  numbers, poses = {}, {}
  for name, more in (("default", []), ("average", ["--average"]), ("last", ["--noaverage"])):
    assert evaluate.main([*words, *more, f"--submission={tmp_path}/{name}"]) == 0
    said = capsys.readouterr()
    numbers[name] = json.loads(said.out.partition("\n}")[0] + "\n}")
    poses[name] = json.loads((tmp_path / name / "train" / "results.json").read_text())
  assert "3 points" in said.err and "6 of 6 people counted" in said.err
  assert {k for k in numbers["default"] if k.startswith("keypoints/")} >= {
      f"keypoints/{n}" for n in ("AP", "AP50", "AP75", "AR", "AR50", "AR75")}
  assert {p["image_id"] for p in poses["default"]} == set(range(50, 56))
  assert {p["category_id"] for p in poses["default"]} == {4}
  assert poses["default"] == poses["average"] != poses["last"]
