"""What an evaluation keeps says what was evaluated, and takes no place of others' files."""

from __future__ import annotations

import csv
import io
import json
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jft_reps.errors import StorageError
from jft_reps.metrics.mistakes.confusion import Confusion
from jft_reps.metrics.results import Result
from jft_reps.tasks.evaluators.scores import FastEvalSet, MeanApSet, TopKSet
from jft_reps.workflows import evaluation_files

LABELS = ("ant", "bee", "cat")
TRUTH = np.array([0, 1, 2, 0, 0])
LOGITS = np.array([[5, 0, 0], [0, 9, 0], [0, 3, 1], [0, 0, 7], [1, 2, 0]], np.float32)
IDS = [f"{i}.jpg" for i in range(5)]
TASK = types.SimpleNamespace(labels=LABELS, identity=lambda split: {"split": split, "sha256": "f"})
ABOUT = {"checkpoint": "RUN/ckpt-30", "step": 30, "best": "classification/top1"}


def dataset():
  images = np.stack([np.full((4, 4, 3), 40 * i, np.uint8) for i in range(5)])
  return tf.data.Dataset.from_tensor_slices({"id": IDS, "image": images}).batch(2)


def judged():
  found = TopKSet("val", dataset, LABELS)
  found.update(IDS, LOGITS, {"targets": TRUTH})
  return found


def keep(folder, step=30):
  evaluator = judged()
  return evaluation_files.keep(folder, TASK, evaluator, evaluator.result(), evaluator.chance(),
                               {**ABOUT, "step": step})


def scalars(folder):
  return {(value.tag, event.step): float(tf.make_ndarray(value.tensor))
          for path in folder.glob("events*")
          for event in tf.compat.v1.train.summary_iterator(str(path))
          for value in event.summary.value}


def test_everything_that_was_evaluated_is_kept(tmp_path):
  names = keep(tmp_path)
  assert sorted(names) == sorted(p.name for p in tmp_path.glob("evaluation_*"))
  found = json.loads((tmp_path / "evaluation_val.json").read_text())
  assert found["numbers"]["classification/top1"] == 2 / 5
  assert found["chance"] == {"classification/top1": 3 / 5, "classification/top5": 1.0,
                             "classification/class_mean_top1": 1 / 3}
  assert found["pictures"] == {"split": "val", "sha256": "f"} and found["step"] == 30
  assert "top-1" in found["definition"] and "commonest" in found["guess"]
  wrong = list(csv.DictReader((tmp_path / "evaluation_val_wrong.csv").open()))
  assert [(row["id"], row["truth"], row["predicted"]) for row in wrong] == [
      ("3.jpg", "ant", "cat"), ("2.jpg", "cat", "bee"), ("4.jpg", "ant", "bee")]
  softmax = np.exp(7) / (np.exp(7) + 2)
  assert float(wrong[0]["confidence"]) == pytest.approx(softmax, abs=1e-4)
  rows = list(csv.DictReader((tmp_path / "evaluation_val_classes.csv").open()))
  assert [row["recall"] for row in rows] == ["0.3333", "1.0000", "0.0000"]
  matrix = list(csv.reader((tmp_path / "evaluation_val_confusion.csv").open()))
  assert [row[1:] for row in matrix[1:]] == [["1", "1", "1"], ["0", "1", "0"], ["0", "1", "0"]]


def test_the_sheet_shows_the_pictures_in_the_order_of_the_list(tmp_path):
  keep(tmp_path)
  sheet = np.asarray(Image.open(tmp_path / "evaluation_val_wrong.png"))
  side = evaluation_files._SIDE
  centres = [sheet[22 + side // 2, 8 + side // 2 + i * (side + 8)].tolist() for i in range(3)]
  assert centres == [[120] * 3, [80] * 3, [160] * 3]


def test_a_step_is_one_point_in_each_of_two_lines_of_a_chart(tmp_path):
  keep(tmp_path)
  keep(tmp_path)
  tag = ("classification/top1", 30)
  assert scalars(tmp_path / "eval_val")[tag] == pytest.approx(2 / 5)
  assert scalars(tmp_path / "eval_val_guessing")[tag] == pytest.approx(3 / 5)
  assert len(list((tmp_path / "eval_val").iterdir())) == 1
  keep(tmp_path, 40)
  assert {step for _, step in scalars(tmp_path / "eval_val")} == {30, 40}
  judged_by_monitor = tmp_path / "monitored"
  judged_by_monitor.mkdir()
  (judged_by_monitor / "metrics.jsonl").write_text('{"event": "eval", "step": 30}\n')
  keep(judged_by_monitor)
  assert not (judged_by_monitor / "eval_val").exists()


@pytest.mark.parametrize("name", ["evaluation_val.json", "evaluation_val_wrong.csv"])
@pytest.mark.parametrize("before", [False, True])
def test_what_is_not_as_it_was_left_is_not_written_over(tmp_path, name, before):
  if before:
    keep(tmp_path)
  evaluation_files.require(tmp_path, ["val"])
  (tmp_path / name).write_text("my verdicts")
  with pytest.raises(StorageError, match=f"not-ours.*{name}.*--output"):
    evaluation_files.require(tmp_path, ["val"])
  evaluation_files.require(tmp_path, ["test"])  # whose files have other names
  assert (tmp_path / name).read_text() == "my verdicts"


def test_its_own_files_are_replaced(tmp_path):
  keep(tmp_path)
  evaluation_files.require(tmp_path, ["val"])
  keep(tmp_path, 40)
  evaluation_files.require(tmp_path, ["val"])
  assert json.loads((tmp_path / "evaluation_val.json").read_text())["step"] == 40


def test_a_link_or_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
  (tmp_path / "evaluation_val_wrong.csv").symlink_to(tmp_path / "elsewhere")
  with pytest.raises(StorageError, match="not-ours"):
    evaluation_files.require(tmp_path, ["val"])
  (tmp_path / "file").write_text("")
  with pytest.raises(StorageError, match="write-failed"):
    evaluation_files.require(tmp_path / "file", ["val"])


def test_of_several_labels_the_surest_that_a_picture_has_not(tmp_path):
  rng = np.random.default_rng(0)
  targets = (rng.random((5, 3)) < 0.5).astype(np.uint8)
  unknown = (rng.random((5, 3)) < 0.2).astype(np.uint8) & (1 - targets)
  for evaluator in (MeanApSet("val", dataset, LABELS), FastEvalSet("val", dataset, LABELS, {})):
    for part in (slice(0, 3), slice(3, 5)):
      evaluator.update(IDS[part], LOGITS[part], {"targets": targets[part],
                                                 "unknown_targets": unknown[part]})
    evaluator.result()
    scores = np.where(targets | unknown, -np.inf, LOGITS)
    some = np.flatnonzero(np.isfinite(scores.max(1)))
    order = some[np.argsort(-scores[some].max(1), kind="stable")]
    mistakes = evaluator.mistakes(10)
    assert [m.id for m in mistakes] == [IDS[i] for i in order]
    assert [m.predicted for m in mistakes] == [LABELS[c] for c in scores[order].argmax(1)]
    for mistake, i in zip(mistakes, order):
      assert mistake.confidence == pytest.approx(1 / (1 + np.exp(-scores[i].max())))
      assert set(filter(None, mistake.truth.split("; "))) == {
          LABELS[c] for c in np.flatnonzero(targets[i])}
    guessed = evaluator.chance()
    assert set(guessed) < set(evaluator.result()) and all("mAP" in name for name in guessed)
    evaluation_files.keep(tmp_path / type(evaluator).__name__, TASK, evaluator, {}, guessed, ABOUT)
    rows = list(csv.reader((tmp_path / type(evaluator).__name__ / "evaluation_val_classes.csv"
                            ).open()))
    assert rows[0] == ["index", "id", "name", "positives", "ap"] and len(rows) == 4


def test_classes_of_boxes_and_masks_are_a_table_too():
  result = Result({}, {"=cat": {"AP": 0.25, "boxes": 3}, "dog": {"AP": None, "boxes": 0}}, 1, 2, 0,
                  "AP")
  evaluator = types.SimpleNamespace(name="val", last=result)
  assert evaluation_files.classes_csv(TASK, evaluator) == "class,AP,boxes\n'=cat,0.25,3\ndog,,0\n"
  poses = types.SimpleNamespace(name="val", last=Result({}, {}, 0, 2, 0, "OKS"))
  assert evaluation_files.classes_csv(TASK, poses) is None


def test_a_table_has_a_column_for_guessing_and_one_for_the_first_step(tmp_path):
  evaluator = judged()
  (tmp_path / "metrics.jsonl").write_text(
      '{"event": "eval", "step": 0, "val: classification/top1": 0.25, "time": 1.0}\n')
  first = evaluation_files.first_step(tmp_path, evaluator, first=False)
  lines = evaluation_files.said(evaluator, evaluator.result(), evaluator.chance(), first,
                                "classification/top1").splitlines()
  assert lines[1].split() == ["measured", "guessing", "step", "0"]
  assert lines[2].split() == ["classification/top1", "0.4000", "0.6000", "0.2500"]
  assert lines[-1].strip() == f"guessing: {evaluator.guess}"


@pytest.mark.parametrize("classes", [3, 70])
def test_a_confusion_matrix_of_any_size_is_drawn(classes):
  truth = np.arange(classes)
  labels = tuple(f"class $ {c}" for c in truth)
  found = Confusion(labels, tuple(map(str, truth)), truth, np.roll(truth, 1), np.ones(classes))
  image = Image.open(io.BytesIO(evaluation_files.draw(found)))
  assert min(image.size) > 300 and image.size[0] < 2500
