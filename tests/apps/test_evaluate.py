"""Evaluation of a run: its numbers, the verdict on them, and checkpoints of another task."""

from __future__ import annotations

import json
import re

import pytest
import tensorflow as tf

from jft_reps.apps import command_line, evaluate, train
from jft_reps.data.records import manifest, schema
from jft_reps.data.records.writing import Writer
from jft_reps.errors import ConfigError, StorageError
from jft_reps.training.evaluation import monitor
from jft_reps.training.run_directory import checkpoints
from jft_reps.workflows import compose, evaluation
from tests.apps.tiny_run import arguments

EXPECTED = [("random", "map", 0.5, 0.1, "table 1", "paper"),
            ("other", "map", 9.0, 0.1, "table 1", "paper")]


@pytest.mark.parametrize("values,code,said", [
    ({"map": 0.59}, 0, "map: 0.5900, expected 0.5 ± 0.1 (table 1, paper): ok"),
    ({"map": 0.41}, 0, "ok"), ({"map": 0.61}, 1, "OUTSIDE"), ({"map": 0.39}, 1, "OUTSIDE"),
    ({"map": float("nan")}, 1, "OUTSIDE"), ({"loss": 0.5}, 1, "map: n/a")])
def test_a_number_outside_its_tolerance_fails(values, code, said, capsys):
  assert evaluation.verdict(values, "random", EXPECTED) == code
  assert said in capsys.readouterr().out


@pytest.mark.parametrize("values,said", [
    ({"data/dropped": 0.0}, "seg/mIOU: not measured here"),
    ({"seg/IoU/cat": 0.5}, "seg/mIOU: n/a")])
def test_numbers_of_a_set_without_truth_are_not_judged(values, said, capsys):
  expected = [("random", "seg/mIOU", 0.7, 0.1, "figure 6", "paper")]
  assert evaluation.verdict(values, "random", expected) == ("n/a" in said)
  assert said in capsys.readouterr().out


@pytest.mark.parametrize("expected", [
    [], [("random", "map", None, 0.1, "figure 3", "not recovered")]])
def test_without_an_expected_number_nothing_is_judged(expected, capsys):
  assert evaluation.verdict({"map": 0.0}, "random", expected) == 0
  assert capsys.readouterr().out == ""


@pytest.fixture(scope="module")
def run(tmp_path_factory, root):
  """A directory after two pushes."""
  workdir = tmp_path_factory.mktemp("run")
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(root)
    patch.delenv("TF_CONFIG", raising=False)
    patch.setattr(command_line, "log_tensorflow_to", lambda path: None)
    assert train.main(arguments(workdir)) == 0
  return workdir


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch, root):
  monkeypatch.chdir(root)


def resolved(workdir, *more):
  return command_line.resolve(arguments(workdir, *more), evaluate.FLAGS, "").config


def test_left_out_pictures_change_only_the_clean_numbers(run, tmp_path, capsys):
  first = compose.task(resolved(run)).evaluators()[0].dataset()
  ids = [i.decode() for batch in first for i in batch["id"].numpy()]
  assert len(ids) == 24
  excluded = tmp_path / "ids.txt"
  excluded.write_text("\n".join(ids[:20]) + "\n")
  assert evaluate.main(arguments(run, f"--exclude_ids={excluded}")) == 0
  said = capsys.readouterr()
  assert "fasteval: 20 of the 20 ids to leave out are in this set\n" in said.err
  values = json.loads(said.out)
  assert values.pop("data/dropped") == 0.0
  clean = {k.removesuffix(" (clean)"): v for k, v in values.items() if k.endswith("(clean)")}
  all_of_them = {k: v for k, v in values.items() if not k.endswith("(clean)")}
  assert clean.keys() == all_of_them.keys()
  assert clean["fasteval/mAP@100"] != pytest.approx(all_of_them["fasteval/mAP@100"])
  excluded.write_text("no-picture-has-this-id\n")
  values = evaluation.evaluate(resolved(run), exclude_file=excluded)
  assert "WARNING: 0 of the 1 ids to leave out are in this set" in capsys.readouterr().err
  for name, value in all_of_them.items():
    assert values[name] == pytest.approx(value, nan_ok=True)
    assert values[f"{name} (clean)"] == pytest.approx(value, nan_ok=True)


def test_a_missing_file_of_ids_is_named(run):
  with pytest.raises(ConfigError, match="no/ids.txt.*a text file of ids"):
    evaluation.evaluate(resolved(run), exclude_file="no/ids.txt")


def test_ids_are_lines_and_may_hold_spaces(tmp_path, capsys):
  path = tmp_path / "ids.txt"
  path.write_bytes("\ufeffmy cat.jpg\r\n a\u2028b \n\nlast".encode())
  assert evaluation._excluded(path) == ("my cat.jpg", " a\u2028b ", "last")
  path.write_text("\n\n")  # as of a search that found no copies
  assert evaluation._excluded(path) == ()
  assert "ids.txt: no id, so nothing is left out" in capsys.readouterr().err


def damaged(run, directory, bad: int) -> list[str]:
  """Writes the evaluation set with the first `bad` pictures cut short; their ids."""
  stored = manifest.load(run / "records", "fasteval")
  ids = []
  with Writer(directory, "fasteval", 1) as writer:
    for record in tf.data.TFRecordDataset(list(stored.paths)).as_numpy_iterator():
      example = tf.train.Example.FromString(record)
      features = example.features.feature
      ids.append(features[schema.SOURCE_ID].bytes_list.value[0].decode())
      encoded = features[schema.ENCODED].bytes_list
      encoded.value[0] = encoded.value[0][:-100] if len(ids) <= bad else encoded.value[0]
      writer.write(ids[-1], example.SerializeToString())
  return ids[:bad]


def elsewhere(run, directory, *more):
  return arguments(run, f"--config.task.records={directory}", "--config.task.train_split=",
                   f"--config.task.hierarchy={run}/records/hierarchy.csv", *more)


def test_pictures_that_do_not_decode_are_said_counted_and_part_of_the_definition(
    run, tmp_path, capsys):
  ids = damaged(run, tmp_path / "half", 12)
  assert evaluate.main(elsewhere(run, tmp_path / "half")) == 0
  said = capsys.readouterr()
  values = json.loads(said.out)
  assert "fasteval: left out 12 of 24 records: decode_error 12\n" in said.err
  assert "left out in reading: 12 of 24 records (decode_error 12)" in said.err
  assert values["data/dropped"] == 12.0
  (tmp_path / "ids.txt").write_text("\n".join(ids))
  whole = evaluation.evaluate(resolved(run), exclude_file=str(tmp_path / "ids.txt"))
  assert values["fasteval/mAP@100"] == pytest.approx(whole["fasteval/mAP@100 (clean)"], abs=1e-4)


@pytest.mark.parametrize("bad,message", [
    (13, r"evaluation set fasteval: left out 13 of 24 records \(decode_error 13\); expected at"),
    pytest.param(24, r"split fasteval: left out 24 of 24 \(decode_error 24\).*"
                 "fasteval-00000-of-00001", marks=pytest.mark.slow)])
def test_a_set_of_which_most_is_lost_gets_no_number(run, tmp_path, capsys, bad, message):
  damaged(run, tmp_path / "bad", bad)
  words = elsewhere(run, tmp_path / "bad")
  assert command_line.run(evaluate.main, words) == 2
  said = capsys.readouterr()
  assert re.search(f"^jft_reps: error\\[too-many-bad-records\\]: .*{message}", said.err, re.M)
  assert "Traceback" not in said.err and not said.out


def test_the_average_of_a_run_that_keeps_none_is_refused(run):
  with pytest.raises(StorageError, match="no-average.*ckpt-2"):
    evaluation.evaluate(resolved(run), average=True)


@pytest.mark.parametrize("change", [
    "k=5", "reading=picture", "restrict=after", "max_labels=9", "eval_max_labels=9"])
def test_what_fasteval_measures_is_a_matter_of_configuration(run, change):
  key, _, value = change.partition("=")
  config = resolved(run, f"--config.task.{change}")
  assert str(config.task[key]) == value
  compose.task(config)


def test_the_classes_fasteval_evaluates_are_named_by_the_configuration(run, tmp_path, capsys):
  labels = compose.task(resolved(run)).labels
  (tmp_path / "classes.txt").write_text("\n".join(labels[:30]))
  evaluation.evaluate(resolved(run, f"--config.task.eval_classes={tmp_path}/classes.txt"))
  assert "of 30 classes with >= 1 positive" in capsys.readouterr().err


@pytest.mark.parametrize("change,message", [
    ("--config.task.crop=12", r"preprocessing-differ.*ckpt-2: preprocessing crop: 16, of \d+; "
     r"expected 12, of \d+\. 1 differ"),
    ("--config.task.backbone.stride_placement=first_3x3",
     r"config\.task\.backbone\.stride_placement: first_3x3; expected first_1x1, as the jft_reps "
     "weights")])
def test_a_checkpoint_of_another_preprocessing_or_network_is_refused(run, change, message):
  with pytest.raises((ConfigError, StorageError), match=message):
    evaluation.evaluate(resolved(run, change))


def renamed(task):
  """The task with another class in the second place."""
  labels = list(task.labels)
  labels[1] = "axolotl"
  task.labels = tuple(labels)
  return task


def test_a_checkpoint_of_other_labels_is_refused(run, monkeypatch):
  second = compose.task(resolved(run)).labels[1]
  make = compose.task
  monkeypatch.setattr(compose, "task", lambda *arguments: renamed(make(*arguments)))
  message = f"labels-differ.*labels 1: {second}, of .*; expected axolotl, of "
  with pytest.raises(StorageError, match=message):
    evaluation.evaluate(resolved(run))
  monkeypatch.setattr(monitor, "_TRIES", 1)
  with pytest.raises(StorageError, match=message):
    evaluation.follow(resolved(run), timeout=10)
  assert not (run / "best").exists()


def test_following_waits_for_a_first_checkpoint_before_it_reads_records(tmp_path, capsys):
  with pytest.raises(StorageError, match="no-checkpoint.*a first checkpoint. Is the trainer"):
    evaluation.follow(resolved(tmp_path), timeout=0.1)
  assert capsys.readouterr().err == f"waiting for the first checkpoint in {tmp_path}\n"
  with pytest.raises(StorageError, match="no checkpoint of ours"):
    evaluation.evaluate(resolved(tmp_path))


def test_following_evaluates_the_last_checkpoint_and_ends(run):
  evaluation.follow(resolved(run), timeout=10)
  lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
  assert [m["step"] for m in lines if m["event"] == "eval"] == [0, 2]
  assert json.loads((run / "best" / "info.json").read_text())["step"] in (0, 2)
  assert checkpoints.committed(run) == [0, 2]
  assert (run / "eval_fasteval" / "per_class_2.csv").exists()


def test_the_evaluator_of_a_cluster_is_the_monitor(run, monkeypatch):
  cluster = {"chief": ["127.0.0.1:21111"], "worker": ["127.0.0.1:21112"],
             "ps": ["127.0.0.1:21113"], "evaluator": ["127.0.0.1:21114"]}
  monkeypatch.setenv("TF_CONFIG", json.dumps(
      {"cluster": cluster, "task": {"type": "evaluator", "index": 0}}))
  followed = []
  monkeypatch.setattr(evaluation, "follow", lambda config: followed.append(config.workdir))
  assert train.main(arguments(run)) == 0
  assert followed == [str(run)]
