"""Own pictures: what follows from the records, what an override changes, and the three commands."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from experiments import own_rows
from jft_reps import workflows
from jft_reps.apps import build_records, command_line, evaluate, export, probe
from jft_reps.data.records import contents
from jft_reps.errors import ConfigError, DataError
from jft_reps.task import START
from jft_reps.workflows import compose, configuration

PICTURES, CLASSES = 120, ("blue", "green", "red")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
  """Plain pictures of three colours, with noise, of 40×48 pixels."""
  folder, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
  for i in range(PICTURES):
    colour = rng.choice(3, p=[0.5, 0.3, 0.2])
    pixels = rng.integers(0, 120, (40, 48, 3))
    pixels[..., 2 - colour] += 120
    path = folder / "in" / CLASSES[colour] / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
  assert command_line.run(build_records.main, [
      "build_records", f"--input={folder / 'in'}", f"--output={folder / 'records'}", "--shards=2",
      "--hold_out=25%"]) == 0
  return folder / "records"


def test_what_follows_from_the_records(records):
  config = own_rows.get_config("small", str(records))
  reasons = own_rows.complete(config)
  held = contents.read(records)
  assert config.task.name == "classify" and not config.task.multi_label
  assert (config.task.crop, config.task.backbone.stem) == (40, "small")  # their short side
  assert config.task.resize == round(40 * 340 / 299)
  assert config.task.eval_splits == ("val",)
  assert config.train.steps == own_rows.FEWEST_STEPS > 60 * held.pictures / 32
  assert config.schedule.steps == config.train.steps
  assert {"task.crop", "train.steps", "epochs"} <= set(reasons)
  assert all(value is not None for key, value in configuration.flat(config).items()
             if key in reasons)


def test_epochs_and_overrides_count(records):
  held = contents.read(records)
  config = workflows.load("own:tiny", {"epochs": 4, "task.batch_size": 16}, str(records))
  assert config.train.steps == round(4 * held.pictures / 16)
  assert config.schedule.initial == pytest.approx(0.05 / 2)  # half of the batch
  assert config.task.backbone.depth == 14
  found = configuration.resolve("own:small", {"train.steps": "77", "task.crop": "32"},
                                str(records))
  assert (found.config.train.steps, found.config.schedule.steps) == (77, 77)
  assert "train.steps" not in found.reasons and "task.crop" not in found.reasons


def test_weights_bring_their_network(records):
  config = workflows.load("own:resnet50", {"init.checkpoint": "WEIGHTS"}, str(records))
  assert config.task.backbone.depth is None and config.task.backbone.width is None
  assert config.schedule.initial == pytest.approx(0.01)


@pytest.mark.parametrize("several", [False, True])
def test_augmented_batches_are_the_same_wherever_a_run_resumes(records, several):
  config = workflows.load("own:tiny", {
      "task.augmentation.colour": 0.3, "task.augmentation.zoom": 0.5, "task.batch_size": 8,
      "task.augmentation.mixup": 0.2, "task.multi_label": several}, str(records))
  assert workflows.load("own:tiny", {}, str(records)).task.augmentation.to_dict() == {
      "colour": 0.0, "zoom": 1.0, "mixup": 0.0}
  task = compose.task(config)
  first, second = task.train_dataset(START).take(2)
  again = list(task.train_dataset(START).take(2))
  np.testing.assert_array_equal(second["image"], again[1]["image"])
  assert (first["image"].numpy() != second["image"].numpy()).mean() > 0.5
  assert 0.5 <= float(first["share"]) <= 1
  model = task.build()
  loss, _ = task.loss(model, first)
  plain = {key: value for key, value in first.items() if key != "share"}
  turned = {**plain, "targets": np.roll(plain["targets"], -1, 0)}
  share = float(first["share"])
  expected = share * task.loss(model, plain)[0] + (1 - share) * task.loss(model, turned)[0]
  assert float(loss) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("kind, task", [("boxes", "detect"), ("masks", "segment"),
                                        ("keypoints", "pose")])
def test_rows_of_other_kinds_are_of_their_task(kind, task, records):
  assert own_rows.get_config(f"resnet101,{kind}").task.name == task
  with pytest.raises(ConfigError, match="has labels: expected"):
    configuration.resolve(f"own:small,{kind}", {}, str(records))


def test_what_is_not_there_is_said(records, tmp_path):
  for row, folder, part in (("own:huge", records, "tiny, small"), ("own", tmp_path, "manifest"),
                            ("owned:small", records, "no such file")):
    with pytest.raises((ConfigError, DataError), match=part):
      configuration.resolve(row, {}, str(folder))
  (tmp_path / "manifest-train.json").write_text(
      (records / "manifest-all.json").read_text().replace('"all"', '"train"'))
  with pytest.raises(DataError, match="--hold_out"):
    configuration.resolve("own:small", {}, str(tmp_path))


def test_three_commands_and_a_run_that_knows_itself(records, tmp_path, capsys):
  run = tmp_path / "run"
  found = configuration.resolve("own:tiny", {"train.steps": "60"}, str(records))
  assert "the pictures are no larger" in "\n".join(found.lines())
  assert workflows.train(found.config, run) == 60
  capsys.readouterr()

  assert command_line.run(evaluate.main, ["evaluate", f"--workdir={run}"]) == 0
  said = capsys.readouterr()
  numbers = json.loads(said.out)
  kept = json.loads((run / "evaluation_val.json").read_text())
  assert kept["numbers"] == numbers and kept["step"] == 60
  chance = kept["chance"]["classification/top1"]
  assert 0.4 < chance < 0.6 and numbers["classification/top1"] > chance + 0.2
  top1 = numbers["classification/top1"]
  assert re.search(rf"classification/top1 +{top1:.4f} +{chance:.4f}\n", said.err)
  for name in ("classes.csv", "confusion.csv", "confusion.png", "wrong.csv", "wrong.png"):
    assert (run / f"evaluation_val_{name}").stat().st_size > 10

  # A configuration that is given besides is compared.
  assert command_line.run(evaluate.main, [
      "evaluate", f"--workdir={run}", "--config=own:tiny", f"--records={records}",
      "--config.task.eval_batch_size=7"]) == 0
  assert "config.task.eval_batch_size=7, the run: 64" in capsys.readouterr().err

  assert command_line.run(export.main, [
      "export", f"--workdir={run}", f"--output={tmp_path / 'model'}"]) == 0
  assert (tmp_path / "model" / "saved_model.pb").exists()

  assert command_line.run(probe.main, ["probe", f"--workdir={run}"]) == 0
  said = capsys.readouterr().out
  assert "guessing" in said and "untrained" in said
  found = json.loads((run / "probe" / "probe.json").read_text())
  assert found["chance"]["classification/top1"] == pytest.approx(chance)
  assert set(found["untrained"]) == set(found["values"])

  # The run's weights start another run.
  tuning = workflows.load("own:small", {"init.checkpoint": str(run), "train.steps": 2},
                          str(records))
  assert workflows.train(tuning, tmp_path / "tuned") == 2
  tuned = json.loads((tmp_path / "tuned" / "config.json").read_text())
  assert tuned["task"]["backbone"]["depth"] is None


@pytest.mark.parametrize("program", [evaluate, export, probe])
def test_a_folder_without_a_run_is_named(program, tmp_path, capsys):
  for folder, part in ((tmp_path / "none", "no such folder"), (tmp_path, "no config.json")):
    assert command_line.run(program.main, ["x", f"--workdir={folder}", "--records=R"]) == 1
    assert part in capsys.readouterr().err
