"""Files of detections come back as they were, and damaged ones are refused by name and place."""

from __future__ import annotations

import contextlib
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from jft_reps.errors import ConfigError, DataError, NumericError, StorageError
from jft_reps.metrics import coco, detection_files
from jft_reps.metrics.detections import Detections, Truth, none
from tests.metrics import result_files

# The 80 categories of COCO's instances have ids up to 90.
COCO_IDS = sorted(set(range(1, 91)) - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
LABELS = ("cat", "dog", "potted plant")


def same(one, other, within=0.0011):
  """Boxes up to the sum of two numbers rounded to 0.001, classes and scores exactly."""
  assert one.keys() == other.keys()
  for name in one:
    a, b = one[name], other[name]
    np.testing.assert_allclose(a.boxes, b.boxes, rtol=0, atol=within)
    np.testing.assert_array_equal(a.classes, b.classes)
    np.testing.assert_array_equal(a.scores, b.scores)


def world(seed, names, classes=3):
  """Detections of pictures, in no order."""
  rng = np.random.default_rng(seed)
  found = {}
  for name in names:
    n = rng.integers(1, 5)
    corner = rng.uniform(0, 300, (n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0, 300, (n, 2))], axis=1)
    found[name] = Detections(boxes.astype(np.float32), rng.integers(0, classes, n),
                             rng.random(n, np.float32))
  return found


def checked(found, classes=3):
  return {name: d.checked(name, classes) for name, d in found.items()}


def test_official_results_are_read_and_written_back(shared_data, tmp_path):
  """cocodataset/cocoapi, results/instances_val2014_fakebbox100_results.json."""
  path = shared_data / "evalref/cocoapi_results/instances_val2014_fakebbox100_results.json"
  entries = json.loads(path.read_text())
  found = detection_files.read_coco_results(path, COCO_IDS)
  assert sum(len(d.boxes) for d in found.values()) == len(entries)
  assert set(found) == {str(e["image_id"]) for e in entries}
  x, y, w, h = entries[0]["bbox"]
  first = found[str(entries[0]["image_id"])]
  place = list(first.scores).index(entries[0]["score"])
  assert COCO_IDS[first.classes[place]] == entries[0]["category_id"]
  np.testing.assert_allclose(first.boxes[place], [y, x, y + h, x + w], atol=1e-9)
  count = detection_files.write_coco_results(tmp_path / "r.json", found.items(), COCO_IDS)
  assert count == len(entries)
  key = lambda e: (e["image_id"], e["category_id"], e["score"], e["bbox"])
  assert (sorted(json.loads((tmp_path / "r.json").read_text()), key=key)
          == sorted(entries, key=key))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_both_kinds_of_files_come_back(tmp_path_factory, seed):
  folder = tmp_path_factory.mktemp("results")
  found = world(seed, ["9", "10", "42"])
  detection_files.write_coco_results(folder / "r.json", found.items(), [7, 3, 90])
  same(detection_files.read_coco_results(folder / "r.json", [7, 3, 90]), checked(found))
  found = world(seed, ["2008_000001", "2008_000002"])
  detection_files.write_voc_results(folder / "voc", found.items(), LABELS)
  same(result_files.read_voc_results(folder / "voc", LABELS), checked(found))


def test_pycocotools_takes_the_file(tmp_path):
  found = world(5, ["1", "2"])
  detection_files.write_coco_results(tmp_path / "r.json", found.items(), [1, 2, 3])
  with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO()
    truth.dataset = {"images": [{"id": 1}, {"id": 2}], "annotations": [],
                     "categories": [{"id": i, "name": str(i)} for i in (1, 2, 3)]}
    truth.createIndex()
    read = truth.loadRes(str(tmp_path / "r.json"))
  assert len(read.anns) == sum(len(d.boxes) for d in found.values())
  detection_files.write_coco_results(tmp_path / "none.json", [("1", none())], [1])
  assert json.loads((tmp_path / "none.json").read_text()) == []


def test_voc_files_are_in_pixels_from_one_with_the_last_inside(tmp_path):
  boxes = np.array([[0.0, 0, 1, 1], [10, 20, 30.25, 40]])
  found = Detections(boxes, np.array([0, 2]), np.array([0.5, 0.25]))
  paths = detection_files.write_voc_results(tmp_path, [("000004", found)], LABELS, "comp3_det_val")
  assert [p.rsplit("/", 1)[1] for p in paths] == [
      "comp3_det_val_cat.txt", "comp3_det_val_dog.txt", "comp3_det_val_potted plant.txt"]
  texts = [open(p).read() for p in paths]
  assert texts == ["000004 0.5 1.000 1.000 1.000 1.000\n", "",
                   "000004 0.25 21.000 11.000 40.000 30.250\n"]


def test_a_picture_without_a_number_is_refused_for_coco_and_blanks_for_voc(tmp_path):
  for name in ("2008_000001", "007", "-1", "²"):
    with pytest.raises(DataError, match="coco-picture-id.*evaluate records built from a COCO"):
      detection_files.write_coco_results(tmp_path / "r.json", [(name, none())], [1])
  for name in ("a b", "", "a\n"):
    with pytest.raises(DataError, match="voc-picture-id"):
      detection_files.write_voc_results(tmp_path, [(name, none())], LABELS)


def test_an_old_file_stays_whole_when_writing_fails(tmp_path):
  path = tmp_path / "r.json"
  path.write_text("old")
  bad = Detections(np.array([[0, 0, 1, math.nan]]), np.zeros(1, int), np.ones(1))
  with pytest.raises(NumericError, match="picture '2'"):
    detection_files.write_coco_results(path, [*world(0, ["1"]).items(), ("2", bad)], [1, 2, 3])
  assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
  with pytest.raises(StorageError, match="write-failed"):
    detection_files.write_coco_results(tmp_path / "absent" / "r.json", [], [1])


@pytest.mark.parametrize("label", ["../up", "a/b", "/etc", "a\nb"])
def test_no_label_leads_out_of_the_folder(tmp_path, label):
  with pytest.raises(ConfigError, match="voc-file-name"):
    detection_files.write_voc_results(tmp_path, [], [label])


GOOD = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.mark.parametrize("text, match", [
    ('[{"image_id": 1', "json.*may be cut"),
    ("[" * 100_000, "json"),
    ("{}", "a dict; expected a list"),
    ("[1]", "entry 0: a int"),
    (json.dumps([GOOD, {**GOOD, "category_id": 9}]), "entry 1: category_id 9"),
    (json.dumps([{**GOOD, "category_id": [1]}]), r"category_id \[1\]"),
    (json.dumps([{**GOOD, "image_id": "1"}]), "image_id 1, score 0.5"),
    (json.dumps([{**GOOD, "bbox": ["1", "2", "3", "4"]}]), "bbox"),
    (json.dumps([{**GOOD, "bbox": [1, 2, 3]}]), "bbox"),
    (json.dumps([{**GOOD, "bbox": [10**400, 2, 3, 4]}]), "bbox"),
    (json.dumps([{**GOOD, "score": True}]), "score True"),
    (json.dumps([{"image_id": 1}]), "no 'category_id'"),
    (json.dumps([{**GOOD, "bbox": [1, 2, -3, 4]}]), "box-swapped.*picture '1'"),
])
def test_damaged_results_are_refused_with_their_entry(tmp_path, text, match):
  path = tmp_path / "r.json"
  path.write_text(text)
  with pytest.raises(DataError, match=match):
    detection_files.read_coco_results(path, [1, 2])


def test_nan_in_a_file_is_refused(tmp_path):
  path = tmp_path / "r.json"
  for entry in ({**GOOD, "bbox": [1, 2, 3, math.nan]}, {**GOOD, "score": math.inf}):
    path.write_text(json.dumps([entry]))
    with pytest.raises(NumericError, match="picture '1'"):
      detection_files.read_coco_results(path, [1])
  with pytest.raises(DataError, match="results-read"):
    detection_files.read_coco_results(tmp_path / "absent", [1])


def dataset():
  """A small COCO file: ids with holes and out of order, a crowd, a picture without boxes."""
  box = {"iscrowd": 0, "area": 1000.0, "bbox": [10.0, 20.0, 40.0, 50.0]}
  return {"images": [{"id": 5}, {"id": 3}, {"id": 8}],
          "categories": [{"id": 9, "name": "dog"}, {"id": 2, "name": "cat"}],
          "annotations": [{**box, "id": 0, "image_id": 5, "category_id": 9},
                          {**box, "id": 1, "image_id": 3, "category_id": 2},
                          {**box, "id": 7, "image_id": 3, "category_id": 2, "iscrowd": 1}]}


def written(folder, truth, results):
  (folder / "truth.json").write_text(json.dumps(truth))
  (folder / "results.json").write_text(json.dumps(results))
  return folder / "truth.json", folder / "results.json"


def test_annotations_and_results_are_read_together(tmp_path):
  results = [{"image_id": 5, "category_id": 9, "bbox": [10, 20, 40, 50], "score": 0.5}]
  read = result_files.read_coco(*written(tmp_path, dataset(), results))
  assert (read.labels, read.category_ids) == (("cat", "dog"), (2, 9))
  assert list(read.pictures) == ["5", "3", "8"]
  detections, truth = read.pictures["5"]
  assert detections.boxes.tolist() == truth.boxes.tolist() == [[20, 10, 70, 50]]
  assert detections.classes.tolist() == truth.classes.tolist() == [1]
  assert read.pictures["3"][1].crowd.tolist() == [False, True]
  assert truth.area.tolist() == [1000]
  result = read.evaluate()
  assert result.per_class["dog"]["AP"] == pytest.approx(1) and result.numbers["APs"] is not None
  assert result.per_class["cat"]["AP"] == 0 and result.numbers["APl"] is None


def test_a_written_file_evaluates_to_the_numbers_of_the_metric(tmp_path):
  metric, found = coco.CocoBoxes(("cat", "dog"), (2, 9)), world(2, ["5", "3", "8"], 2)
  found["5"] = Detections(np.array([[20.0, 10, 70, 51]]), np.ones(1, int), np.ones(1))
  truth = {name: Truth(np.array(boxes).reshape(-1, 4), np.array(classes, int),
                       np.array([False, True][:len(classes)]), area=np.full(len(classes), 1000.0))
           for name, boxes, classes in (("5", [[20.0, 10, 70, 50]], [1]), ("8", [], []),
                                        ("3", [[20.0, 10, 70, 50]] * 2, [0, 0]))}
  for name in found:
    metric.update(name, found[name], truth[name])
  truth_path, path = written(tmp_path, dataset(), [])
  detection_files.write_coco_results(path, found.items(), metric.category_ids)
  assert result_files.read_coco(truth_path, path).evaluate().numbers == metric.result().numbers
