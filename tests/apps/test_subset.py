"""Subsets as users make them and train from them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.apps import command_line, subset
from jft_reps.collection.checks import validation
from jft_reps.data.hierarchy import readers
from jft_reps.data.reading import order as reading
from jft_reps.data.records import manifest, schema
from jft_reps.task import START
from jft_reps.tasks import pretrain
from jft_reps.tasks.backbone import Backbone
from jft_reps.tasks.inputs import record_sets
from jft_reps.toy_world import records
from jft_reps.toy_world.world import ToyWorld
from jft_reps.training import optimizers, schedules, trainer
from jft_reps.training.run_directory import checkpoints
from jft_reps.training.run_directory.directory import RunDirectory


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  directory = tmp_path_factory.mktemp("records")
  world = ToyWorld(seed=3, size=40)
  world.write_hierarchy(directory / "hierarchy.csv")
  records.write_records(world, directory, "train", 0, 120, 3)
  records.write_records(world, directory, "fasteval", 0, 20, 1)
  return directory


def run(folder, *arguments):
  return command_line.run(subset.main, ["subset", f"--records={folder}", *arguments])


def ids(folder, split):
  found = manifest.load(folder, split, full=True)
  examples = map(tf.train.Example.FromString, reading.serialized(found).as_numpy_iterator())
  return [e.features.feature[schema.SOURCE_ID].bytes_list.value[0].decode() for e in examples]


def test_sizes_get_names_and_say_what_they_are(folder, capsys):
  assert run(folder, "--pictures=30,60") == 0
  said = capsys.readouterr().out.splitlines()
  assert said[0].startswith("train_30: 30 pictures of train in 1 shards, ids hashed below 0.")
  assert said[1].startswith("train_60: 60 pictures of train in 2 shards")
  assert ids(folder, "train_30") == ids(folder, "train_60")[:30] == ids(folder, "train")[:30]
  assert run(folder, "--split=train_60", "--share=0.5", "--name=half") == 0
  assert ids(folder, "half") == ids(folder, "train_30")
  assert run(folder, "--pictures=30") == 2
  assert "train_30.json: a set of this name is there already" in capsys.readouterr().err
  assert run(folder, "--pictures=30", "--overwrite", "--nocounts") == 0


def test_files_of_classes_and_ids(folder, tmp_path, capsys):
  hierarchy = readers.read(folder / "hierarchy.csv", "edges")
  top = hierarchy.roots[0]
  (tmp_path / "classes.txt").write_text(f"{top}\n")
  order = ids(folder, "train")
  (tmp_path / "copies.txt").write_text("\n".join([*order[:5], "not there"]) + "\n")
  assert run(folder, f"--classes={tmp_path}/classes.txt", "--name=below", "--overwrite",
             f"--hierarchy={folder}/hierarchy.csv", "--hierarchy_format=edges",
             f"--leave_out_ids={tmp_path}/copies.txt") == 0
  text = capsys.readouterr().out
  assert f"of {1 + len(hierarchy.descendants(top))} classes, 5 listed pictures left out" in text
  world, kept = ToyWorld(seed=3, size=40), []
  for name in order[5:]:
    labels = world.picture("train", int(name.rsplit("-", 1)[1])).labels
    if top in hierarchy.expand([hierarchy.ids[c] for c in labels]):
      kept.append(name)
  assert ids(folder, "below") == kept and 0 < len(kept)
  counts = json.loads((folder / "counts-below.json").read_text())
  assert counts["counts"][top] == len(kept) == counts["pictures"] and counts["ancestors"]
  assert run(folder, "--name=kept", "--overwrite", f"--keep_ids={tmp_path}/copies.txt") == 0
  assert ids(folder, "kept") == order[:5]


def test_an_empty_list_leaves_nothing_out_and_keeps_nothing(folder, tmp_path, capsys):
  (tmp_path / "none.txt").write_text("")
  assert run(folder, "--name=whole", "--overwrite", f"--leave_out_ids={tmp_path}/none.txt") == 0
  assert "whole: 120 pictures" in (said := capsys.readouterr()).out and not said.err.count("WARN")
  assert "0 listed pictures left out (the list is empty)" in said.out
  assert ids(folder, "whole") == ids(folder, "train")
  assert run(folder, "--name=no", f"--keep_ids={tmp_path}/none.txt") == 2
  assert "bad-id-list" in capsys.readouterr().err


def test_ids_that_are_not_there_are_warned_of(folder, tmp_path, capsys):
  order = ids(folder, "train")
  (tmp_path / "some.txt").write_text("\n".join([*order[:5], "a", "b"]))
  (tmp_path / "others.txt").write_text("a\nb\n")
  assert run(folder, "--name=kept", "--overwrite", f"--keep_ids={tmp_path}/some.txt") == 0
  assert "WARNING: kept: only 5 of the 7 ids to keep are in train" in capsys.readouterr().err
  assert run(folder, "--name=out", "--overwrite", f"--leave_out_ids={tmp_path}/some.txt") == 0
  assert "WARNING" not in capsys.readouterr().err
  assert run(folder, "--name=out", "--overwrite", f"--leave_out_ids={tmp_path}/others.txt") == 0
  assert "WARNING: out: none of the 2 ids to leave out is among" in capsys.readouterr().err
  # Where not every picture was looked at, nobody knows.
  assert run(folder, "--name=few", "--pictures=3", f"--keep_ids={tmp_path}/some.txt") == 0
  assert "WARNING" not in capsys.readouterr().err


def test_a_subset_of_what_was_made_again_is_outdated(folder, capsys):
  assert run(folder, "--pictures=60", "--name=outer", "--nocounts") == 0
  assert run(folder, "--split=outer", "--pictures=30", "--name=inner", "--nocounts") == 0
  capsys.readouterr()
  assert run(folder, "--pictures=60", "--name=outer", "--overwrite", "--nocounts") == 0
  assert "WARNING" not in capsys.readouterr().err  # the same pictures
  assert run(folder, "--pictures=20", "--name=outer", "--overwrite", "--nocounts") == 0
  assert "WARNING: outer: inner was made of what it was before" in capsys.readouterr().err
  report = validation.validate([(str(folder), "inner")])
  assert report.findings.counts == {"subset-of-another": 1}
  assert "split outer was made again" in next(report.findings.lines())
  assert run(folder, "--split=outer", "--pictures=10", "--name=inner", "--overwrite") == 0
  assert not validation.validate([(str(folder), "inner")]).findings


def test_the_program_never_loads_tensorflow(folder, root):
  code = ("import sys\nfrom jft_reps.apps import command_line, subset\n"
          "code = command_line.run(subset.main, ['subset', *sys.argv[1:]])\n"
          "print(code, {'tensorflow', 'tf_keras', 'keras'} & sys.modules.keys())")
  done = subprocess.run(
      [sys.executable, "-c", code, f"--records={folder}", "--pictures=30", "--name=light",
       f"--hierarchy={folder}/hierarchy.csv", "--hierarchy_format=edges"], cwd=root, text=True,
      capture_output=True, timeout=60, check=True)
  assert done.stdout.splitlines()[-1] == "0 set()", done.stderr
  assert (folder / "counts-light.json").exists()


@pytest.mark.parametrize("arguments, message", [
    ([], "--name: missing"), (["--name=x"], "all of the pictures"),
    (["--pictures=1.5"], "--pictures: 1.5; expected numbers"), (["--pictures=-3"], "--pictures"),
    (["--share=1.5"], "--share: 1.5; expected numbers above 0, at most 1"),
    (["--share=0"], "--share"), (["--share=nan"], "--share"),
    (["--share=0.001"], "--share: 0.001 of 120 pictures; expected at least one"),
    (["--pictures=5,5"], "each size once"), (["--pictures=5", "--share=1"], "one of them"),
    (["--pictures=1k"], "120 pictures to choose from; expected the 1,000 of train_1k"),
    (["--split=gone", "--pictures=5"], "no manifest-gone.json"),
    (["--pictures=5", "--name=../x"], "bad-split"), (["--pictures=5", "--name=train"], "itself"),
    (["--pictures=5", "--hierarchy=x"], "--hierarchy_format: missing"),
    (["--name=x", "--classes=/gone"], "/gone"), (["--name=x", "--keep_ids=/gone"], "/gone")])
def test_what_is_wrong_is_one_line(folder, arguments, message, capsys):
  assert run(folder, *arguments) in (1, 2)
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("jft_reps: error[") and message in line


def test_a_task_trains_from_a_subset_and_starts_at_its_prior(folder, tmp_path):
  assert run(folder, "--pictures=40", "--name=train_10M", "--overwrite") == 0
  order = ids(folder, "train")
  (tmp_path / "ids.txt").write_text("\n".join(order[1:60:2]))
  assert run(folder, "--name=odd", "--overwrite", f"--keep_ids={tmp_path}/ids.txt") == 0
  prints = set()
  for split, names in (("train_10M", order[:40]), ("odd", order[1:60:2])):
    task = pretrain.create(
        folder, backbone=Backbone(depth=14, width=0.125, stem="small"), train_split=split,
        eval_splits=("fasteval",), hierarchy=str(folder / "hierarchy.csv"), classifier_shards=2,
        batch_size=5, resize=36, crop=32, shuffle=16)
    seen = [tuple(batch["id"].numpy().tolist()) for batch in
            task.train_dataset(START).take(len(names) // 5)]
    assert sorted(sum(seen, ())) == sorted(name.encode() for name in names)
    prints.add(task._sets.fingerprint(split))
  whole = task._sets.fingerprint("train")
  checksums = ",".join(s.sha256 for s in manifest.read(folder, "train").shards)
  assert whole == hashlib.sha256(checksums.encode()).hexdigest() and len(prints | {whole}) == 3
  options = trainer.TrainerOptions(steps=1, optimizer=optimizers.Momentum(),
                            schedule=schedules.PiecewiseConstant((0.01,)))
  directory = RunDirectory(tmp_path / "run")
  trainer.Trainer(task, directory, options, notes=task.notes, reasons=task.reasons).train()
  bias = checkpoints.read(tmp_path / "run" / "ckpt-0", ["head/bias"])["head/bias"]
  counts = json.loads((folder / f"counts-{split}.json").read_text())["counts"]
  hierarchy = readers.read(folder / "hierarchy.csv", "edges")
  root = max(hierarchy.roots, key=lambda name: counts[name])
  prior = 1 / (1 + np.exp(-bias[hierarchy.index(root)])) * (len(names) + 1) - 0.5
  world = ToyWorld(seed=3, size=40)
  carry = sum(root in hierarchy.expand([hierarchy.ids[c] for c in world.picture(
      "train", int(name.rsplit("-", 1)[1])).labels]) for name in names)
  assert round(float(prior), 2) == carry


@pytest.mark.parametrize("data", [b"", b"\xff" * 15])
def test_an_index_that_goes_wrong_in_training_is_explained(folder, tmp_path, data):
  for name in (*(s.file for s in manifest.read(folder, "train").shards), "labels.txt",
               "manifest-train.json"):
    shutil.copy(folder / name, tmp_path)
  (tmp_path / "ids.txt").write_text("\n".join(ids(folder, "train")[::3]))
  assert run(tmp_path, "--name=some", f"--keep_ids={tmp_path}/ids.txt", "--nocounts") == 0
  sets = record_sets.RecordSets(tmp_path, "some", ())
  size = (tmp_path / "index-some.bin").stat().st_size
  (tmp_path / "index-some.bin").write_bytes(data[:size])
  with pytest.raises(tf.errors.OpError) as caught:
    list(reading.serialized(sets.training_records()))
  assert "bad-index" in str(sets.explain(caught.value))
