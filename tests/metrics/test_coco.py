"""COCO's numbers for boxes: a transcription in plain loops, pycocotools itself, and promises."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from importlib import util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from jft_reps.errors import ConfigError, DataError, NumericError
from jft_reps.metrics import coco
from jft_reps.metrics.detections import Detections, Truth, none
from tests.metrics import result_files
from tests.metrics.plain_coco import transcription

LABELS = ("cat", "dog", "owl")
BACKENDS = ["pycocotools", pytest.param("faster", marks=pytest.mark.skipif(
    util.find_spec("faster_coco_eval") is None, reason="optional package"))]


def world(seed, count=5, most=7):
  """Pictures by id, with ties of scores and overlaps, crowds, and areas of all three ranges."""
  rng = np.random.default_rng(seed)
  pictures = {}
  for i in rng.permutation(count * 3)[:count]:
    n, m = rng.integers(0, most, 2)
    corner = rng.integers(0, 6, (n, 2)) * 10.0
    boxes = np.concatenate([corner, corner + rng.choice([12, 20, 40, 110], (n, 2))], axis=1)
    truth = Truth(boxes, rng.integers(0, 2, n), rng.random(n) < 0.2, rng.random(n) < 0.3,
                  np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * rng.choice([0.5, 0.9, 1.0], n))
    copied = rng.integers(0, n, m) if n else np.zeros(0, int)
    found = boxes[copied] + rng.integers(-3, 4, (len(copied), 4))
    kinds = np.where(rng.random(len(copied)) < 0.9, truth.classes[copied], 2)
    pictures[str(i)] = (Detections(found, kinds, rng.integers(0, 5, len(copied)) / 4), truth)
  return pictures


def evaluate(pictures, order=None, exclude=None, labels=LABELS, backend="pycocotools"):
  metric = coco.CocoBoxes(labels, backend=backend)
  for name in pictures if order is None else order:
    metric.update(name, *pictures[name])
  return metric.result(exclude)


def by_number(pictures):
  return [pictures[name] for name in sorted(pictures, key=int)]


def close(one, other):
  assert one.keys() == other.keys()
  for name in one:
    assert (one[name] is None) == (other[name] is None), name
    assert one[name] is None or math.isclose(one[name], other[name], abs_tol=1e-9), name


def one_box(classes=(0,), crowd=None):
  return Truth(np.array([[10.0, 10, 50, 50]] * len(classes)), np.array(classes), crowd)


def found(boxes, scores=None, classes=None):
  n = len(boxes)
  return Detections(np.array(boxes, float), np.zeros(n, int) if classes is None else classes,
                    np.arange(n, 0, -1.0) if scores is None else np.array(scores))


@pytest.mark.parametrize("backend", BACKENDS)
@given(seed=st.integers(0, 2**32 - 1))
def test_numbers_are_those_of_the_definition_in_plain_loops(backend, seed):
  pictures = world(seed)
  close(evaluate(pictures, backend=backend).numbers, transcription(by_number(pictures)))


@given(seed=st.integers(0, 2**32 - 1))
def test_any_order_of_pictures_and_boxes_gives_the_same_result_to_the_bit(seed):
  pictures, rng = world(seed), np.random.default_rng(seed)
  shuffled = {}
  for name in rng.permutation(list(pictures)):
    detections, truth = pictures[name]
    a, b = rng.permutation(len(detections.boxes)), rng.permutation(len(truth.boxes))
    shuffled[str(name)] = (detections[a], Truth(
        truth.boxes[b], truth.classes[b], truth.crowd[b], truth.difficult[b], truth.area[b]))
  assert evaluate(shuffled) == evaluate(pictures)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_leaving_pictures_out_equals_never_having_seen_them(seed, share):
  pictures = world(seed)
  out = [name for name in pictures if np.random.default_rng(int(name)).random() < share]
  a = evaluate(pictures, exclude=[*(n.encode() for n in out), "never seen"])
  b = evaluate({name: v for name, v in pictures.items() if name not in out})
  assert (a.numbers, a.per_class, a.pictures) == (b.numbers, b.per_class, b.pictures)
  assert (a.excluded, b.excluded) == (len(out), 0)


def official(dataset, results):
  """pycocotools by its own interface, all classes at once: twelve numbers and AP per category."""
  with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO()
    truth.dataset = dataset
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  aps = evaluation.eval["precision"][:, :, :, 0, 2].mean(axis=(0, 1))
  return dict(zip(coco.NUMBERS, evaluation.stats)), aps


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_of_real_annotations_are_those_of_pycocotools(shared_data, tmp_path, backend):
  """COCO128, crowds and all; what is found are its boxes, moved and in part of another class."""
  path = shared_data / "detection/coco128/annotations/instances_train2017.json"
  dataset, rng = json.loads(path.read_text()), np.random.default_rng(7)
  results = []
  for annotation in dataset["annotations"]:
    for _ in range(rng.integers(0, 4)):
      x, y, w, h = annotation["bbox"] * np.exp(rng.normal(0, 0.04, 4))
      category = rng.choice([annotation["category_id"], 1], p=[0.8, 0.2])
      results.append({"image_id": annotation["image_id"], "category_id": int(category),
                      "bbox": [x, y, w, h], "score": rng.random()})
  (tmp_path / "results.json").write_text(json.dumps(results))
  most = max(np.bincount([r["image_id"] for r in results]))
  read = result_files.read_coco(path, tmp_path / "results.json")
  ours = read.evaluate(backend)
  numbers, aps = official(dataset, results)
  assert most <= coco.MOST and ours.pictures == len(dataset["images"]) == 128
  close(ours.numbers, numbers)
  for label, ap in zip(read.labels, aps):
    value = ours.per_class[label]["AP"]
    assert (value is None and ap == -1) or math.isclose(value, ap, abs_tol=1e-12), label
  assert 0.2 < numbers["AP"] < 0.8


def test_toy_cats_with_ids_from_zero(shared_data, tmp_path):
  """toy_cat12 numbers everything from 0, which pycocotools reads as unmatched."""
  folder = shared_data / "evalref/toy_cat12"
  truth = folder / "gts_coco_format/toy_example_coco.JSON"
  results = [{key: a[key] for key in ("image_id", "category_id", "bbox", "score")} for a in json.
             loads((folder / "dets_coco_format/coco_dets.json").read_text())["annotations"]]
  (tmp_path / "results.json").write_text(json.dumps(results))
  read = result_files.read_coco(truth, tmp_path / "results.json")
  ours = read.evaluate().numbers
  dataset = json.loads(truth.read_text())
  assert official(dataset, results)[0]["AP50"] < ours["AP50"] - 0.05
  for annotation in dataset["annotations"]:
    annotation["id"] += 1
  numbers = official(dataset, results)[0]
  close(ours, {k: None if v == -1 else v for k, v in numbers.items()})
  pictures = [(d.checked(name, 1), t.checked(name, 1)) for name, (d, t) in read.pictures.items()]
  close(ours, transcription(pictures, 1))
  assert (read.labels, read.category_ids) == (("cat",), (0,))


def test_a_perfect_detector_reaches_one_and_nothing_found_is_zero():
  truth = one_box([0, 1])
  perfect = evaluate({"a": (Detections(truth.boxes, truth.classes, np.ones(2)), truth)})
  nothing = evaluate({"a": (none(), truth)})
  for name in ("AP", "AP50", "AP75", "APm", "ARmax1", "ARmax10", "ARmax100", "ARm"):
    assert math.isclose(perfect.numbers[name], 1.0, abs_tol=1e-12)
    assert nothing.numbers[name] == 0.0


def test_what_is_undefined_is_none_and_never_minus_one():
  only_crowds = evaluate({"a": (found([[0, 0, 9, 9]]), one_box(crowd=np.array([True]))),
                          "b": (none(), one_box([]))})
  assert set(only_crowds.numbers.values()) == {None}
  assert only_crowds.undefined == 3 and only_crowds.scalars("coco/") == {}
  assert only_crowds.table().count("n/a") == 12 + 2 * 3
  medium = evaluate({"a": (found([[10, 10, 50, 50]]), one_box())})
  assert medium.numbers["APs"] is None and medium.numbers["ARl"] is None
  assert medium.per_class["cat"]["AP50"] == pytest.approx(1, abs=1e-12)
  assert medium.per_class["dog"] == {"AP": None, "AP50": None, "positives": 0, "detections": 0}
  assert set(medium.scalars("coco/")) == {"coco/" + n for n in (
      "AP", "AP50", "AP75", "APm", "ARmax1", "ARmax10", "ARmax100", "ARm")}
  assert evaluate({}).numbers["AP"] is None


def test_what_is_found_in_a_crowd_is_not_held_against_the_detector():
  crowd = Truth(np.array([[10.0, 10, 50, 50], [0, 100, 100, 300]]), np.zeros(2, int),
                np.array([False, True]))
  boxes = [[10, 10, 50, 50], [10, 110, 50, 150], [20, 200, 60, 240]]
  inside = evaluate({"a": (found(boxes, [0.5, 0.9, 0.8]), crowd)})
  assert inside.numbers["AP"] == pytest.approx(1, abs=1e-12)
  without = evaluate({"a": (found(boxes, [0.5, 0.9, 0.8]), one_box())})
  assert without.numbers["AP"] == pytest.approx(1 / 3, abs=1e-12)


def test_area_is_that_of_the_annotation_and_else_that_of_the_box():
  box = np.array([[0.0, 0, 40, 40]])
  own = Truth(box, np.zeros(1, int), area=np.array([900.0]))
  assert evaluate({"a": (found(box), own)}).numbers["APm"] is None
  assert evaluate({"a": (found(box), Truth(box, np.zeros(1, int)))}).numbers["APs"] is None


def test_the_best_hundred_of_a_picture_over_all_classes_count_and_the_rest_is_told():
  boxes = np.tile([[200.0, 200, 240, 240]], (101, 1))
  boxes[100] = [10, 10, 50, 50]
  hidden = found(boxes, np.arange(101, 0, -1.0), np.r_[np.ones(100, int), 0])
  result = evaluate({"a": (hidden, one_box()), "b": (none(), one_box([]))})
  assert result.numbers["AP"] == 0.0 and "1 more of 1 pictures not counted" in result.definition
  shown = evaluate({"a": (hidden[1:], one_box())})
  assert shown.numbers["AP"] == pytest.approx(1, abs=1e-12)
  assert "more of" not in shown.definition


def test_a_diverged_detector_is_refused_and_leaves_nothing_behind():
  metric = coco.CocoBoxes(LABELS)
  box = [[10.0, 10, 50, 50]]
  for value in (math.nan, math.inf):
    with pytest.raises(NumericError, match="picture 'p1'.*NaN or infinite"):
      metric.update("p1", found([[10, 10, 50, value]]), one_box())
    with pytest.raises(NumericError, match="scores"):
      metric.update("p1", found(box, [value]), one_box())
    with pytest.raises(NumericError, match="truth of picture"):
      metric.update("p1", none(), Truth(np.array([[0, 0, 1, value]]), np.zeros(1, int)))
  metric.update("p1", found(box), one_box())
  assert metric.result().numbers["AP"] == pytest.approx(1, abs=1e-12)
  with pytest.raises(DataError, match="duplicate-picture.*'p1' twice"):
    metric.update(b"p1", found(box), one_box())


@pytest.mark.parametrize("detections, match", [
    (found([[10, 10, 50, 50]], classes=np.array([3])), "class 3; expected 0 to 2"),
    (found([[10, 10, 50, 50]], classes=np.array([-1])), "class -1"),
    (found([[10, 10, 50, 50]], classes=np.array([0.0])), "float64; expected integers"),
    (found([[10, 10, 50, 50]], scores=[1.0, 0.5]), r"shape \[2\] for 1 boxes"),
    (found([[10, 10, 50, 50]], scores=["0.5"]), "dtype <U3"),
    (found([[10, 10, 50]]), r"shape \[1, 3\]"),
    (found([[50, 10, 10, 50]]), "ymin <= ymax"),
])
def test_boxes_that_do_not_fit_are_refused(detections, match):
  with pytest.raises(DataError, match=match):
    coco.CocoBoxes(LABELS).update("p", detections, one_box())


def test_wrong_arguments_are_refused():
  with pytest.raises(ConfigError, match="'a' twice"):
    coco.CocoBoxes(["a", "a"])
  with pytest.raises(ConfigError, match="category_ids"):
    coco.CocoBoxes(LABELS, [1, 2, 2])
  with pytest.raises(ConfigError, match="pycocotools or faster"):
    coco.CocoBoxes(LABELS, backend="fast")
  with pytest.raises(ConfigError, match="one string"):
    evaluate(world(0), exclude="12")


def test_a_faster_backend_that_is_not_there_names_its_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
  with pytest.raises(ConfigError, match=r"pip install 'jft_reps\[fast-coco\]'"):
    coco.CocoBoxes(LABELS, backend="faster")


def test_nothing_is_printed_and_the_definition_says_what_was_used(capsys):
  result = evaluate(world(3))
  assert capsys.readouterr().out == ""
  assert "pycocotools 2." in result.definition and "crowds ignored" in result.definition
  assert "best 100 detections" in result.definition and "AP of boxes" in result.definition
  assert result.table().startswith(result.definition)
