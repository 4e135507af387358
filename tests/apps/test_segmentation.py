"""Segmentation through the programs: a folder of masks to numbers and server files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from jft_reps.apps import build_records, command_line, evaluate
from tests.apps.test_clusters import Programs

TINY = (
    "task.backbone.depth=14", "task.backbone.width=0.125", "task.backbone.stem=small",
    "task.resize=41", "task.rates=1,2", "task.batch_size=2", "task.recalibration_pictures=4",
    "task.shuffle=8", "task.train_split=train", "task.eval_splits=train", "train.steps=4",
    "train.checkpoint_every=4", "train.startup_delay=0")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
  """Six pictures of squares with palette masks, from a list of names."""
  folder = tmp_path_factory.mktemp("masks")
  rng = np.random.default_rng(0)
  for name in ("pictures", "masks"):
    (folder / name).mkdir()
  for i in range(6):
    mask = np.zeros((40, 52), np.uint8)
    y, x = rng.integers(0, 20, 2)
    mask[y:y + 18, x:x + 18] = 1 + i % 2
    mask[0] = 255
    pixels = rng.integers(0, 60, (40, 52, 3), np.uint8) + (mask == 1)[..., None] * np.uint8(150)
    Image.fromarray(pixels).save(folder / f"pictures/p{i}.png")
    image = Image.fromarray(mask, "P")
    image.putpalette([255, 0, 0] * 256)
    image.save(folder / f"masks/p{i}.png")
  (folder / "labels.txt").write_text("nothing\nbright\ndark\n")
  (folder / "list.txt").write_text("".join(f"p{i}\n" for i in range(5)))
  output = folder / "records"
  assert command_line.run(build_records.main, [
      "build_records", "--source=masks", f"--input={folder}/pictures",
      f"--annotations={folder}/masks", f"--labels={folder}/labels.txt",
      f"--keep_ids={folder}/list.txt", f"--output={output}", "--shards=2", "--processes=1"]) == 0
  return output


@pytest.mark.slow
def test_masks_become_a_network_with_numbers_and_server_files(root, records, tmp_path, capsys):
  run = tmp_path / "run"
  words = ["program", "--config=experiments/fig6_segmentation.py:random", f"--workdir={run}",
           f"--config.task.records={records}", *(f"--config.{value}" for value in TINY)]
  with Programs(root, tmp_path) as programs:
    assert programs.start("train", "train", words).wait(timeout=120) == 0, programs.said("train")
  assert "statistics of 17 layers taken from 2 batches" in programs.said("train")
  assert evaluate.main([*words, f"--submission={tmp_path}"]) == 0
  said = capsys.readouterr()
  values = json.loads(said.out)
  assert 0 <= values["segmentation/mIOU"] <= 1
  assert "of 3 classes that truth or prediction has" in said.err and "bright" in said.err
  sent = tmp_path / "train/results/VOC2012/Segmentation/comp6_test_cls"
  assert sorted(p.name for p in sent.iterdir()) == [f"p{i}.png" for i in range(5)]
  with Image.open(sent / "p0.png") as image:
    assert image.mode == "P" and image.size == (52, 40) and np.asarray(image).max() < 3
