"""VOC's AP: published values of small sets, the kit's steps in plain loops, and promises."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.errors import ConfigError, DataError, NumericError
from jft_reps.metrics import voc
from jft_reps.metrics.detections import Detections, Truth, none

LABELS = ("cat", "dog", "owl")
METHODS = ("area", "11-point")


def from_kit(rows):
  """Boxes of ours of the kit's xmin, ymin, xmax, ymax: indices from 1, the last pixel inside."""
  return np.array([[ymin - 1, xmin - 1, ymax, xmax] for xmin, ymin, xmax, ymax in rows],
                  float).reshape(-1, 4)


def evaluate(pictures, order=None, exclude=None, labels=LABELS, **options):
  metric = voc.VocBoxes(labels, **options)
  for name in pictures if order is None else order:
    metric.update(name, *pictures[name])
  return metric.result(exclude)


def lines(path):
  return [line.split() for line in path.read_text().splitlines() if line.strip()]


def padilla(folder):
  """Files of `class [score] x y width height`; both corners are pixels of the box there."""
  pictures = {}
  for path in sorted((folder / "gts").glob("*.txt")):
    both = []
    for rows in (lines(path), lines(folder / "dets" / path.name)):
      corners = [tuple(map(float, row[-4:])) for row in rows]
      both.append((from_kit([(x, y, x + w, y + h) for x, y, w, h in corners]),
                   np.array([float(row[1]) for row in rows])))
    (true, _), (found, scores) = both
    pictures[path.stem] = (Detections(found, np.zeros(len(found), int), scores),
                           Truth(true, np.zeros(len(true), int)))
  return pictures


@pytest.mark.parametrize("method, expected", [
    ("11-point", {0.1: 0.3333333333, 0.3: 0.2683982683, 0.5: 0.0303030303, 0.75: 0.0}),
    ("area", {0.1: 0.3371980676, 0.3: 0.2456866804, 0.5: 0.0222222222, 0.75: 0.0}),
])
def test_seven_pictures_of_padilla_and_others_reach_the_published_values(
    shared_data, method, expected):
  """rafaelpadilla/review_object_detection_metrics, tests/test_eval_pascal.py."""
  pictures = padilla(shared_data / "evalref/padilla7")
  assert sum(len(truth.boxes) for _, truth in pictures.values()) == 15
  for iou, value in expected.items():
    numbers = evaluate(pictures, labels=["object"], iou=iou, method=method).numbers
    assert numbers["mAP"] == pytest.approx(value, abs=1e-10)


@pytest.mark.parametrize("method, iou, percent", [
    ("11-point", 0.5, 88.64), ("area", 0.5, 89.58), ("11-point", 0.75, 49.24),
    ("area", 0.75, 50.97)])
def test_twelve_cats_reach_the_published_values(shared_data, method, iou, percent):
  """The example in the README of the same repository."""
  folder, pictures = shared_data / "evalref/toy_cat12", {}
  for path in (folder / "gts_vocpascal_format").glob("*.xml"):
    boxes = [[float(o.find(f"bndbox/{key}").text) for key in ("xmin", "ymin", "xmax", "ymax")]
             for o in ElementTree.parse(path).iter("object")]
    rows = lines(folder / "dets_classname_abs_xyx2y2" / f"{path.stem}.txt")
    found = from_kit([[float(v) for v in row[2:]] for row in rows])
    pictures[path.stem] = (
        Detections(found, np.zeros(len(rows), int), np.array([float(row[1]) for row in rows])),
        Truth(from_kit(boxes), np.zeros(len(boxes), int)))
  result = evaluate(pictures, labels=["cat"], iou=iou, method=method)
  assert round(100 * result.numbers["mAP"], 2) == percent
  assert result.per_class["cat"]["positives"] == result.per_class["cat"]["detections"] == 12


def kit_overlap(a, b, plus):
  """Of boxes of ours, in the kit's coordinates."""
  a, b = ([v[1] + 1, v[0] + 1, v[3], v[2]] for v in (a, b))
  width = min(a[2], b[2]) - max(a[0], b[0]) + plus
  height = min(a[3], b[3]) - max(a[1], b[1]) + plus
  if width <= 0 or height <= 0:
    return 0.0
  sizes = [(v[2] - v[0] + plus) * (v[3] - v[1] + plus) for v in (a, b)]
  return width * height / (sum(sizes) - width * height)


def kit(pictures, c, iou, method, plus):
  """AP of a class step by step; `pictures` by id."""
  found, truth = [], {}
  for name, (detections, true) in sorted(pictures.items()):
    found += sorted(((-s, name, tuple(b)) for b, k, s in zip(
        detections.boxes, detections.classes, detections.scores) if k == c))
    truth[name] = [[b, bool(d), False] for b, d in sorted(
        (tuple(b), bool(d)) for b, k, d in zip(true.boxes, true.classes, true.difficult)
        if k == c)]
  positives = sum(not difficult for rows in truth.values() for _, difficult, _ in rows)
  if not positives:
    return None
  points, tp, fp = [], 0, 0
  for _, name, box in sorted(found):
    best, most = None, -1.0
    for row in truth[name]:
      o = kit_overlap(box, row[0], plus)
      if o > most:
        best, most = row, o
    if most < iou:
      fp += 1
    elif not best[1]:
      tp, fp = (tp, fp + 1) if best[2] else (tp + 1, fp)
      best[2] = True
    if tp + fp:
      points.append((tp / positives, tp / (tp + fp)))
  if method == "11-point":
    return sum(max((p for r, p in points if r >= 0.1 * i), default=0.0) for i in range(11)) / 11
  recalls = sorted({0.0, *(r for r, _ in points)})
  return sum((high - low) * max(p for r, p in points if r >= high)
             for low, high in zip(recalls, recalls[1:]))


def world(seed):
  """Pictures by id full of ties, difficult boxes and boxes found twice; no owl is true."""
  rng = np.random.default_rng(seed)
  pictures = {}
  for i in rng.permutation(6):
    n, m = rng.integers(0, 6, 2)
    corner = rng.integers(0, 4, (n, 2)) * 4.0
    boxes = np.concatenate([corner, corner + rng.integers(1, 9, (n, 2))], axis=1)
    truth = Truth(boxes, rng.integers(0, 2, n), difficult=rng.random(n) < 0.3)
    copied = rng.integers(0, n, m * 2) if n else np.zeros(0, int)
    found = boxes[copied] + rng.integers(0, 2, (len(copied), 4))
    found[:, 2:] += 1.0
    kinds = np.where(rng.random(len(copied)) < 0.9, truth.classes[copied], 2)
    pictures[f"{i:03d}x"] = (Detections(found, kinds, rng.integers(0, 4, len(copied)) / 4), truth)
  return pictures


@given(seed=st.integers(0, 2**32 - 1), iou=st.sampled_from([0.3, 0.5, 0.75]),
       method=st.sampled_from(METHODS), plus_one=st.booleans())
def test_ap_is_that_of_the_kit_in_plain_loops(seed, iou, method, plus_one):
  pictures = world(seed)
  result = evaluate(pictures, iou=iou, method=method, plus_one=plus_one)
  expected = [kit(pictures, c, iou, method, int(plus_one)) for c in range(3)]
  assert [row["AP"] for row in result.per_class.values()] == [
      None if ap is None else pytest.approx(ap, abs=1e-12) for ap in expected]
  defined = [ap for ap in expected if ap is not None]
  mean = sum(defined) / len(defined) if defined else None
  assert result.numbers["mAP"] == (mean if mean is None else pytest.approx(mean, abs=1e-12))
  assert result.undefined == 3 - len(defined)


@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_order_does_not_matter_and_leaving_out_equals_never_having_seen(seed, share):
  pictures, rng = world(seed), np.random.default_rng(seed)
  shuffled = {}
  for name in map(str, rng.permutation(list(pictures))):
    detections, truth = pictures[name]
    a, b = rng.permutation(len(detections.boxes)), rng.permutation(len(truth.boxes))
    shuffled[name] = (detections[a], Truth(truth.boxes[b], truth.classes[b],
                                           difficult=truth.difficult[b]))
  assert evaluate(shuffled) == evaluate(pictures)
  out = [name for name in pictures if rng.random() < share]
  a = evaluate(shuffled, exclude=out)
  b = evaluate({name: v for name, v in pictures.items() if name not in out})
  assert (a.numbers, a.per_class, a.pictures) == (b.numbers, b.per_class, b.pictures)


def single(box, truth, **options):
  """AP of one detection."""
  detections = Detections(np.array([box], float), np.zeros(1, int), np.ones(1))
  return evaluate({"p": (detections, truth)}, labels=["cat"], **options).numbers["mAP"]


def test_the_kits_plus_one_is_what_makes_its_widths_equal_ours():
  """1 to 10 and 1 to 5 of the kit are 10 and 5 pixels wide: half. Without the +1, four ninths."""
  truth = Truth(from_kit([(1, 1, 10, 10)]), np.zeros(1, int))
  box = from_kit([(1, 1, 5, 10)])[0]
  assert voc.overlaps(box[None], truth.boxes)[0, 0] == 0.5
  assert voc.overlaps(box[None], truth.boxes, 1.0)[0, 0] == 4 / 9
  assert single(box, truth) == 1.0 and single(box, truth, plus_one=False) == 0.0


def test_a_box_of_one_pixel_can_be_found():
  truth = Truth(from_kit([(3, 3, 3, 3)]), np.zeros(1, int))
  assert single([2, 2, 3, 3], truth) == 1.0
  assert single([2, 2, 3, 3], truth, plus_one=False) == 0.0


def test_difficult_boxes_are_neither_positives_nor_penalised():
  boxes = from_kit([(1, 1, 10, 10), (21, 21, 40, 40)])
  detections = Detections(boxes[[1, 1, 0]], np.zeros(3, int), np.array([0.9, 0.8, 0.7]))
  for kind in ("difficult", "crowd"):
    truth = Truth(boxes, np.zeros(2, int), **{kind: np.array([False, True])})
    result = evaluate({"p": (detections, truth)})
    assert result.per_class["cat"] == {"AP": 1.0, "positives": 1, "detections": 3}
  counted = evaluate({"p": (detections, Truth(boxes, np.zeros(2, int)))})
  assert counted.per_class["cat"]["AP"] == pytest.approx((1 + 2 / 3) / 2)


def test_what_is_undefined_is_none_and_nothing_found_is_zero():
  truth = Truth(np.array([[0.0, 0, 5, 5], [0, 0, 5, 5]]), np.array([0, 1]),
                difficult=np.array([False, True]))
  result = evaluate({"p": (none(), truth)})
  assert [row["AP"] for row in result.per_class.values()] == [0.0, None, None]
  assert result.scalars("voc/") == {"voc/mAP": 0.0} and result.undefined == 2
  assert result.table().count("n/a") == 2
  empty = evaluate({})
  assert empty.numbers == {"mAP": None} and empty.scalars("voc/") == {}


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_without_boxes_only_adds_false_positives(method):
  truth = Truth(np.array([[0.0, 0, 5, 5]]), np.zeros(1, int))
  hit = Detections(truth.boxes, np.zeros(1, int), np.array([0.5]))
  miss = Detections(truth.boxes, np.zeros(1, int), np.array([0.9]))
  empty = Truth(np.zeros((0, 4)), np.zeros(0, int))
  assert evaluate({"a": (hit, truth), "b": (none(), empty)}, method=method).numbers["mAP"] == 1
  assert evaluate({"a": (hit, truth), "b": (miss, empty)}, method=method).numbers["mAP"] == 0.5


def test_the_definition_names_method_convention_and_counts():
  definition = evaluate(world(1), method="11-point", plus_one=False).definition
  for words in ("mAP@0.5", "VOC2007", "without the kit's +1", "6 pictures", "difficult"):
    assert words in definition
  assert "xmax - xmin + 1 in 1-based pixels" in evaluate(world(1)).definition


def test_wrong_input_is_refused():
  metric = voc.VocBoxes(LABELS)
  box = Detections(np.array([[0.0, 0, 5, math.nan]]), np.zeros(1, int), np.ones(1))
  empty = Truth(np.zeros((0, 4)), np.zeros(0, int))
  with pytest.raises(NumericError, match="picture 'p'"):
    metric.update("p", box, empty)
  metric.update("p", none(), empty)
  with pytest.raises(DataError, match="'p' twice"):
    metric.update("p", none(), empty)
  for options, match in (({"iou": 0.0}, "iou"), ({"method": "07"}, "area or 11-point")):
    with pytest.raises(ConfigError, match=match):
      voc.VocBoxes(LABELS, **options)
