"""Runs that make records: generated pictures, nested subsets, and when these are made anew."""

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil

import pytest

from jft_reps import errors
from jft_reps.apps import subset
from jft_reps.data.records import manifest
from jft_reps.studies import plan
from jft_reps.workflows.study import kinds, plans

_SIZES = {"pictures": "20,60,200", "fewer_labels_pictures": "30"}
_SUBSETS = ("subset_20_s0", "subset_60_s0", "subset_30_fewer_s0")


def planned(**overrides):
  return plans.read_plan("experiments/paper.py:fig4_data_size,table5_classes,laptop",
                         {**_SIZES, **overrides})[0]


def made(whole, name, root):
  (root / name).mkdir(exist_ok=True)
  return kinds.make(plan.resolved(whole[name], lambda other: root / other), root / name)


def stamp(path):
  return os.stat(path).st_mtime_ns


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
  root = tmp_path_factory.mktemp("runs")
  assert made(planned(), "records_s0", root) == {"pictures train": 200, "pictures fasteval": 1000}
  return root


def test_nested_subsets_are_made_at_once_in_one_folder(generated):
  whole = planned()
  with concurrent.futures.ThreadPoolExecutor(3) as pool:
    numbers = list(pool.map(lambda name: made(whole, name, generated), _SUBSETS))
  assert numbers == [{"pictures train_20": 20}, {"pictures train_60": 60},
                     {"pictures train_fewer_30": 30}]
  folder = generated / "records_s0" / "records"
  sets = {name: manifest.load(folder, name, full=True)
          for name in ("train_20", "train_60", "train_fewer_30")}
  assert [found.records for found in sets.values()] == [20, 60, 30]
  below = [sets[n].metadata["subset"]["below"] for n in ("train_20", "train_60")]
  assert below[0] < below[1] < 1
  classes = (generated / "subset_30_fewer_s0" / "classes.txt").read_text().split()
  assert len(classes) == 120 and len(set(classes)) == 120
  assert sets["train_fewer_30"].metadata["subset"]["classes"] == 120
  above = (generated / "subset_30_fewer_s0" / "classes_above.txt").read_text().split()
  parts = [label.split("/") for label in classes]
  assert set(above) == {"/".join(p[:i]) for p in parts for i in range(1, len(p) + 1)}
  assert len(above) == len(set(above)) > 120
  before = {name: stamp(manifest.path_of(folder, name)) for name in sets}
  for name in _SUBSETS:  # a second time over what a kill left
    made(whole, name, generated)
  assert before == {name: stamp(manifest.path_of(folder, name)) for name in sets}


def test_another_list_of_as_many_classes_makes_another_subset(generated, tmp_path):
  def take(start):
    listed.write_text("".join(f"{label}\n" for label in labels[start:start + 120]))
    whole = planned(fewer_labels=str(listed))
    made(whole, "subset_30_fewer_s0", generated)
    assert (generated / "subset_30_fewer_s0" / "classes.txt").read_text() == listed.read_text()
    found = manifest.read(generated / "records_s0" / "records",
                          whole["subset_30_fewer_s0"].overrides["study.subset"])
    assert found.records == 30 and found.metadata["subset"]["classes"] == 120
    return whole.ids(), manifest.fingerprint(found)

  listed = tmp_path / "listed.txt"
  labels = (generated / "records_s0" / "records" / "labels.txt").read_text().split()
  (first, pictures), (second, others) = take(len(labels) - 240), take(len(labels) - 120)
  assert pictures != others
  changed = {name for name in first if first[name] != second[name]}
  assert changed == {"subset_30_fewer_s0", *(
      f"{kind}_noisy30_{labels}_s0" for kind in ("pretrain", "detect")
      for labels in ("fewer", "above"))}


def test_a_subset_of_records_that_were_built_again_is_made_again(tmp_path):
  def build(seed):
    run, folder = planned()["records_s0"], tmp_path / f"seed{seed}"
    overrides = {**run.overrides, "toy_world.seed": seed,
                 "toy_world.splits": {"train": [100, 2], "fasteval": [20, 1]}}
    kinds.make(plan.Run("g", run.config, overrides, kind="records"), folder)
    shutil.copytree(folder / "records", own, dirs_exist_ok=True)
    return planned(data=str(own), pictures="20,60", fewer_labels_pictures="20")

  own = tmp_path / "own"
  first = build(0)
  assert not any(run.name.startswith("records_s") for run in first)
  made(first, "subset_20", tmp_path)
  second = build(1)
  assert manifest.read(own, "train").records == 100
  for name in ("subset_20", "pretrain_noisy20_s0"):
    assert first.ids()[name] != second.ids()[name]
  with pytest.raises(errors.DataError, match="another file"):
    manifest.load(own, "train_20")
  made(second, "subset_20", tmp_path)
  assert manifest.load(own, "train_20", full=True).records == 20
  evaluation = own / "manifest-fasteval.json"
  content = json.loads(evaluation.read_text())
  content["shards"][0]["sha256"] = "0" * 64
  evaluation.write_text(json.dumps(content))
  third = planned(data=str(own), pictures="20,60", fewer_labels_pictures="20").ids()
  assert third["subset_20"] == second.ids()["subset_20"]
  assert third["pretrain_noisy20_s0"] != second.ids()["pretrain_noisy20_s0"]


def test_a_subset_that_somebody_else_made_is_not_overwritten(generated, tmp_path):
  folder = generated / "records_s0" / "records"
  (tmp_path / "out.txt").write_text("none such\n")
  assert subset.main(["subset", f"--records={folder}", "--split=train", "--name=train_60",
                      "--pictures=60", f"--leave_out_ids={tmp_path}/out.txt", "--overwrite"]) == 0
  with pytest.raises(errors.DataError, match="there already"):
    made(planned(), "subset_60_s0", generated)
