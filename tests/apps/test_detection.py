"""Detection through the programs: a COCO JSON to numbers and server files, and a cluster."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from jft_reps.apps import build_records, command_line, evaluate, export
from tests.apps.test_clusters import Programs, free_ports, tf_config

TINY = (
    "task.backbone.depth=14", "task.backbone.width=0.125", "task.backbone.stem=small",
    "task.min_side=64", "task.max_side=128", "task.anchors.base=32", "task.proposals=20",
    "task.sampling.boxes=8", "task.sampling.rpn=16", "task.recalibration_pictures=3",
    "task.shuffle=8", "task.eval_splits=train", "train.steps=4", "train.checkpoint_every=4",
    "train.startup_delay=0")


def arguments(run, records):
  return ["program", "--config=experiments/table2_coco.py:random", f"--workdir={run}",
          f"--config.task.records={records}", *(f"--config.{value}" for value in TINY)]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
  """Records of eight pictures of one square or two, of categories 7 and 21, from a COCO JSON."""
  folder = tmp_path_factory.mktemp("coco")
  rng = np.random.default_rng(0)
  images, boxes = [], []
  for i in range(8):
    pixels = rng.integers(0, 60, [64, 80, 3], np.uint8)
    for k in range(i % 3):  # some pictures have none
      y, x, side = rng.integers(0, 30), rng.integers(0, 40), int(rng.integers(12, 30))
      pixels[y:y + side, x:x + side] = 255 - 120 * k
      boxes.append({"id": len(boxes) + 1, "image_id": i + 100, "category_id": (7, 21)[k],
                    "bbox": [int(x), int(y), side, side], "area": side**2, "iscrowd": 0})
    Image.fromarray(pixels).save(folder / f"{i}.png")
    images.append({"id": i + 100, "file_name": f"{i}.png", "height": 64, "width": 80})
  (folder / "boxes.json").write_text(json.dumps({
      "images": images, "annotations": boxes,
      "categories": [{"id": 21, "name": "grey"}, {"id": 7, "name": "white"}]}))
  output = folder / "records"
  assert command_line.run(build_records.main, [
      "build_records", "--source=coco", f"--input={folder}", f"--annotations={folder}/boxes.json",
      f"--output={output}", "--shards=2", "--processes=1"]) == 0
  return output


@pytest.mark.slow
def test_a_json_becomes_a_detector_with_numbers_and_server_files(root, records, tmp_path, capsys):
  run = tmp_path / "run"
  with Programs(root, tmp_path) as programs:
    words = arguments(run, records)
    assert programs.start("train", "train", words).wait(timeout=120) == 0, programs.said("train")
  assert "statistics of 17 layers taken from 3 batches" in programs.said("train")
  assert evaluate.main([*words, f"--submission={tmp_path}"]) == 0
  said = capsys.readouterr()
  values = json.loads(said.out)
  assert 0 <= values["coco/AP50"] <= 1 and "pycocotools" in said.err and "white" in said.err
  found = json.loads((tmp_path / "train" / "results.json").read_text())
  assert found and {d["category_id"] for d in found} <= {7, 21}
  assert {d["image_id"] for d in found} <= set(range(100, 108))
  assert all(-1e-3 <= d["bbox"][0] and d["bbox"][0] + d["bbox"][2] <= 80.001 for d in found)
  assert command_line.run(export.main, [*words, f"--output={tmp_path}/model"]) == 1
  assert "a task that labels whole pictures" in capsys.readouterr().err


@pytest.mark.slow
def test_a_detector_trains_on_processes_of_tf_config(root, records, tmp_path):
  run, ports = tmp_path / "run", free_ports(3)
  words = arguments(run, records)
  with Programs(root, tmp_path) as programs:
    others = [programs.start(job, "train", words, tf_config(ports, job))
              for job in ("worker", "ps")]
    chief = programs.start("chief", "train", words, tf_config(ports, "chief"))
    assert chief.wait(timeout=150) == 0, programs.said("chief")
    assert [p.wait(timeout=60) for p in others] == [0, 0]
  assert json.loads((run / "DONE").read_text())["step"] >= 4
  assert "1 workers, 1 parameter servers" in (run / "run_card.md").read_text()
