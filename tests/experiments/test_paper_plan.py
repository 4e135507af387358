"""The plan of the paper: which runs it has, what they share, and what makes other ones of them."""

from __future__ import annotations

import json
import pathlib
import shutil

import pytest

from experiments import paper
from jft_reps.studies import plan
from jft_reps.workflows.study import plans

_ROOT = pathlib.Path(__file__).parents[2]


def own(folder, **splits):
  """Manifests of records, each of one shard that is not there; the folder."""
  folder.mkdir(exist_ok=True)
  for split, count in splits.items():
    shard = {"file": f"{split}-00000-of-00001.tfrecord", "records": count, "bytes": 99 * count,
             "sha256": "0" * 64}
    (folder / f"manifest-{split}.json").write_text(json.dumps({
        "version": 1, "split": split, "records": count, "shards": [shard]}))
  return str(folder)


def planned(reference, **overrides):
  return plans.read_plan(reference, overrides)[0]


def ids(size="laptop", **overrides):
  return planned(f"experiments/paper.py:{size}", **overrides).ids()


def test_one_more_size_keeps_the_runs_of_the_others():
  fewer = {"fewer_labels_pictures": "3200"}
  before, after = ids(**fewer), ids(pictures="320,1000,3200,5000,10000", **fewer)
  assert {name: after[name] for name in before} == before
  added = set(after) - set(before)
  assert added and all("5000" in name for name in added)


def test_only_table_5_needs_the_subset_of_classes():
  whole = planned("experiments/paper.py:laptop")
  assert [run.name for run in whole if "subset_3200_fewer_s0" in run.needed()] == [
      "pretrain_noisy3200_fewer_s0", "pretrain_noisy3200_above_s0"]
  fewer, above = (whole[f"pretrain_noisy3200_{labels}_s0"].overrides for labels in (
      "fewer", "above"))
  assert {key for key in fewer if fewer[key] != above[key]} == {"task.classes"}
  for part in ("fig4_data_size", "table2_coco"):
    assert not any("fewer" in run.name for run in planned(f"experiments/paper.py:{part},laptop"))


@pytest.mark.parametrize("old, new", [
    ('"momentum": 0.3}', '"momentum": 0.4}'), ('"initial": 0.5,', '"initial": 0.6,')])
def test_an_edited_configuration_makes_other_trainings_and_the_same_records(
    tmp_path, monkeypatch, old, new):
  shutil.copytree(_ROOT / "experiments", tmp_path / "experiments",
                  ignore=shutil.ignore_patterns("results", "benchmarks"))
  monkeypatch.chdir(tmp_path)
  before = ids()
  file = tmp_path / "experiments" / "fig3_pretraining.py"
  text = file.read_text()
  assert old in text
  file.write_text(text.replace(old, new))
  after = ids()
  changed = {name for name in before if before[name] != after[name]}
  assert "pretrain_noisy320_s0" in changed and "detect_noisy320_s0" in changed
  assert {"records_s0", "subset_320_s0", "records_detect_s0", "detect_random_s0"}.isdisjoint(
      changed)


def test_what_a_single_rate_does_not_read_is_not_in_its_id():
  assert ids(**{"tasks.detect.dev": "x", "tasks.pose.number": "keypoints/AP50"}) == ids()
  other = ids("miniature", **{"tasks.detect.dev": "boxes_test"})
  assert other["detect_random_s0"] != ids("miniature")["detect_random_s0"]


def test_every_start_of_the_paper_reaches_every_task():
  whole = planned("experiments/paper.py:laptop")
  found = {(run.tags["task"], run.tags["start"], run.tags["frozen"], run.tags["times"])
           for run in whole if run.kind == "transfer"}
  for task in ("detect", "segment", "pose"):
    for start in ("random", "clean", "noisy", "clean+noisy"):
      assert (task, start, "fine-tuned", 1) in found
    assert (task, "random", "fine-tuned", 3) in found
  assert {t for t, s, _, times in found if (s, times) == ("noisy", 3)} == {"pose"}
  assert {s for t, s, *_ in found if t == "classify"} == {"random", "clean", "noisy"}
  sizes = {(run.tags["pictures"], run.tags["frozen"]) for run in whole
           if run.tags.get("task") == "detect" and run.tags["start"] == "noisy"
           and run.tags["depth"] == "base" and run.tags["labels"] == "all"}
  assert sizes == {(n, f) for n in (320, 1000, 3200, 10_000) for f in ("fine-tuned", "frozen")}


def test_the_miniature_has_five_seeds_that_share_only_rates_and_parts_share_all():
  seeds, ids = {}, planned("experiments/paper.py:miniature")
  for run in ids:
    seeds.setdefault(run.tags["seed"], set()).add(ids.ids()[run.name])
    assert {ids[name].tags["seed"] for name in run.needed_files()} <= {run.tags["seed"]}
    rated = run.kind == "transfer" and run.tags["seed"] > 0
    assert (run.overrides.get("study.rate_of") ==
            (plan.Output(run.name[:-1] + "0", "numbers.json") if rated else None))
  assert sorted(seeds) == [0, 1, 2, 3, 4]
  assert len(set.union(*seeds.values())) == sum(map(len, seeds.values()))
  whole = set(ids.ids().values())
  for part in paper.get_config("miniature").parts:
    assert set(planned(f"experiments/paper.py:{part},miniature").ids().values()) <= whole


def test_starts_of_one_task_see_the_same_pictures_and_rates():
  whole = planned("experiments/paper.py:table2_coco,miniature")
  runs = [run for run in whole if run.kind == "transfer" and run.tags["seed"] == 0]
  for key in ("task.records", "task.train_split", "study.rates", "study.dev", "study.test",
              "study.number"):
    assert len({repr(run.overrides[key]) for run in runs}) == 1
  steps = {run.name: run.overrides["train.steps"] for run in runs}
  assert steps.pop("detect_random_3x_s0") == 3 * steps["detect_random_s0"]
  assert len(set(steps.values())) == 1


def test_own_records_take_the_place_of_the_generated_ones(tmp_path):
  pictures = own(tmp_path / "own", train=1000, fasteval=10)
  boxes, tree = own(tmp_path / "boxes", a=1, b=1, c=1), tmp_path / "tree.csv"
  tree.write_text("a,b")
  whole = planned("experiments/paper.py:fig4_data_size,laptop", **{
      "data": pictures, "hierarchy": str(tree), "pictures": "100,1000",
      "tasks.detect.records": boxes, "tasks.detect.train": "a", "tasks.detect.dev": "b",
      "tasks.detect.test": "c", "seeds": "2"})
  records = {run.name: run.overrides for run in whole if run.kind == "records"}
  assert {o["task.records"] for o in records.values()} == {pictures}
  assert {name: (o["study.subset"], o["study.pictures"]) for name, o in records.items()} == {
      "subset_100": ("train_100", 100), "subset_1000": ("train_1000", 1000)}
  for run in whole:
    if run.kind == "pretrain":
      assert run.overrides["task.records"] == pictures
      assert run.overrides["task.hierarchy"] == str(tree)
      assert run.overrides["task.train_split"] == f"train_{run.tags['pictures']}"
      assert run.overrides["task.noise.wrong"] == 0.0
    if run.kind == "transfer":
      assert (run.overrides["task.records"], run.overrides["task.train_split"]) == (boxes, "a")


def test_an_own_hierarchy_or_list_of_classes_that_is_edited_makes_other_runs(tmp_path):
  pictures, tree, some = own(tmp_path, train=1000, fasteval=9), tmp_path / "t", tmp_path / "c"
  files = {"hierarchy": str(tree), "fewer_labels": str(some)}
  found = []
  for edges, classes in (("a,b", "a"), ("a,c", "a"), ("a,c", "c")):
    tree.write_text(edges)
    some.write_text(classes)
    found.append(ids("table5_classes,laptop", data=pictures, pictures="100,1000", **files))
  first, other_tree, other_classes = found
  differ = lambda a, b: {name for name in a if a[name] != b[name]}
  trained = {"subset_100", "subset_100_fewer", "pretrain_noisy100_s0", "pretrain_noisy100_fewer_s0"}
  assert trained <= differ(first, other_tree)
  assert trained & differ(other_tree, other_classes) == {
      "subset_100_fewer", "pretrain_noisy100_fewer_s0"}


def test_studies_with_other_classes_make_subsets_of_other_names_in_one_folder(tmp_path):
  pictures, some, names = own(tmp_path, train=1000, fasteval=9), tmp_path / "classes", set()
  for classes in ("a", "b"):
    some.write_text(classes)
    whole = planned("experiments/paper.py:table5_classes,laptop", data=pictures,
                    pictures="100,1000", fewer_labels=str(some))
    trained = whole["pretrain_noisy100_fewer_s0"].overrides["task.train_split"]
    assert trained == whole["subset_100_fewer"].overrides["study.subset"]
    names.add(trained)
  assert len(names) == 2


@pytest.mark.parametrize("data, standard, found", [
    (False, None, {"none": 0.0, "standard": 0.2, "more": 0.5}),
    (True, None, {"standard": 0.0, "more": 0.5}),
    (True, "0.3", {"standard": 0.3, "more": 0.5})])
def test_labels_of_own_pictures_are_made_wrong_only_where_that_is_asked_for(
    tmp_path, data, standard, found):
  values = {"data": own(tmp_path, train=10_000, fasteval=10)} if data else {}
  values |= {"noise.standard": standard} if standard else {}
  whole = planned("experiments/paper.py:noise,laptop", **values)
  assert {run.tags["noise"]: run.overrides["task.noise.wrong"] for run in whole
          if run.kind == "pretrain"} == found


@pytest.mark.parametrize("sizes", ["100,300,1000", "320,1000,3200", "3000,10000"])
def test_every_split_that_is_trained_on_is_made_and_every_arm_is_found(sizes, tmp_path):
  pictures, clean = own(tmp_path / "a", train=10_000, fasteval=9), own(tmp_path / "b", a=9, b=9)
  whole = planned("experiments/paper.py:laptop", pictures=sizes, data=pictures, seeds="2",
                  **{"clean.records": clean, "clean.train": "a", "clean.dev": "b"})
  made = {r.overrides["study.subset"] for r in whole if r.kind == "records"
          and "study.subset" in r.overrides}
  trained = {r.overrides["task.train_split"] for r in whole
             if r.kind == "pretrain" and r.overrides["task.records"] == pictures}
  assert trained == made
  assert {r.overrides["task.train_split"] for r in whole
          if r.overrides.get("task.records") == clean} == {"a"}
  for size in ("largest", "fewer"):
    found = {r.tags["pictures"] for r in whole if r.matches({"task": "detect", "size": size})}
    assert found == {sorted(map(int, sizes.split(",")))[-1 if size == "largest" else -2]}


def test_the_full_plan_has_the_papers_steps():
  full = planned("experiments/paper.py:full")
  steps = {run.tags["pictures"]: run.overrides["train.steps"] for run in full
           if run.kind == "pretrain" and run.tags["start"] == "noisy"}
  assert steps == {300_000_000: 36_000_000, 100_000_000: 12_000_000, 30_000_000: 3_600_000,
                   10_000_000: 1_200_000}
  # Of a push of one worker with 3 crops, as many crops as 800,000 steps of 24 on 16 GPUs.
  assert {run.overrides["train.steps"] for run in full if run.tags.get("task") == "pose"
          } == {800_000 * 24 // 3}
  assert not any("laptop" in run.config for run in full)
  assert not any(run.tags.get("times") == 3 for run in full)
