"""Files of poses come back as they were; boxes of people come from any detector's file."""

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

from jft_reps.errors import DataError, NumericError, StorageError
from jft_reps.metrics import keypoint_files
from jft_reps.metrics.poses import Poses, none
from tests.metrics import result_files


def world(seed, names, count=3):
  rng = np.random.default_rng(seed)
  sizes = rng.integers(1, 5, len(names))
  return {name: Poses(rng.uniform(-20, 700, (n, count, 2)).astype(np.float32),
                      rng.random(n, np.float32)) for name, n in zip(names, sizes)}


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 20))
def test_poses_come_back(tmp_path_factory, seed, count):
  path, found = tmp_path_factory.mktemp("files") / "r.json", world(seed, ["7", "139099"], count)
  written = keypoint_files.write_coco_keypoints(path, [*found.items(), ("3", none(count))], count)
  read = result_files.read_coco_keypoints(path, count)
  assert read.keys() == found.keys() and written == sum(len(p.scores) for p in found.values())
  for name, poses in found.items():
    expected = poses.checked(name, count)
    np.testing.assert_allclose(read[name].points, expected.points, rtol=0, atol=0.0006)
    np.testing.assert_array_equal(read[name].scores, expected.scores)


def test_pixel_indices_from_zero_x_first_and_visibility_one(tmp_path):
  found = Poses(np.array([[[20.5, 10.5], [0.5, 3.25]]]), np.array([0.75]))
  keypoint_files.write_coco_keypoints(tmp_path / "r.json", [("42", found)], 2, category_id=7)
  assert json.loads((tmp_path / "r.json").read_text()) == [
      {"image_id": 42, "category_id": 7, "keypoints": [10, 20, 1, 2.75, 0, 1], "score": 0.75}]


def test_official_results_are_read_and_pycocotools_takes_what_is_written(shared_data, tmp_path):
  """cocodataset/cocoapi, results/person_keypoints_val2014_fakekeypoints100_results.json."""
  path = (shared_data / "evalref/cocoapi_results"
          / "person_keypoints_val2014_fakekeypoints100_results.json")
  entries, found = json.loads(path.read_text()), result_files.read_coco_keypoints(path, 17)
  assert sum(len(p.scores) for p in found.values()) == len(entries) == 125
  keypoint_files.write_coco_keypoints(tmp_path / "r.json", found.items(), 17)
  with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO()
    truth.dataset = {"images": [{"id": int(i)} for i in found], "annotations": [],
                     "categories": [{"id": 1, "name": "person"}]}
    truth.createIndex()
    loaded = truth.loadRes(str(tmp_path / "r.json")).loadAnns(range(1, 126))
  rows = lambda es: np.array(sorted(
      [e["image_id"], e["score"], *e["keypoints"][::3], *e["keypoints"][1::3]] for e in es))
  np.testing.assert_allclose(rows(loaded), rows(entries), rtol=0, atol=0.0006)


def test_an_old_file_stays_whole_when_writing_fails(tmp_path):
  path = tmp_path / "r.json"
  path.write_text("old")
  good = world(0, ["1"])
  bad = Poses(np.full((1, 3, 2), math.nan), np.ones(1))
  with pytest.raises(NumericError, match="picture '2'"):
    keypoint_files.write_coco_keypoints(path, [*good.items(), ("2", bad)], 3)
  with pytest.raises(DataError, match="3 keypoints; expected 4"):
    keypoint_files.write_coco_keypoints(path, good.items(), 4)
  with pytest.raises(DataError, match="coco-picture-id.*evaluate records built from a COCO"):
    keypoint_files.write_coco_keypoints(path, [("a1", none(3))], 3)
  assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
  with pytest.raises(StorageError, match="write-failed"):
    keypoint_files.write_coco_keypoints(tmp_path / "absent" / "r.json", [], 3)


def test_boxes_of_real_people_are_read(shared_data):
  path = shared_data / "detection/mmpose_kp/coco/test_coco_det_AP_H_56.json"
  entries, found = json.loads(path.read_text()), keypoint_files.read_person_boxes(path)
  assert set(found) == {"785", "40083", "196141", "197388"}
  assert sum(len(d.boxes) for d in found.values()) == len(entries) == 118
  x, y, width, height = entries[0]["bbox"]
  np.testing.assert_allclose(found["785"].boxes[0], [y, x, y + height, x + width], atol=1e-9)
  assert found["785"].scores[0] == max(e["score"] for e in entries if e["image_id"] == 785)


def test_only_people_are_kept_and_a_file_without_any_is_refused(tmp_path):
  box = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
  path = tmp_path / "r.json"
  path.write_text(json.dumps([{**box, "category_id": 18}, box, {**box, "image_id": 2,
                                                                "category_id": 3}]))
  found = keypoint_files.read_person_boxes(path)
  assert list(found) == ["1"] and found["1"].boxes.tolist() == [[2, 1, 6, 4]]
  assert found["1"].classes.tolist() == [0]
  assert list(keypoint_files.read_person_boxes(path, 3)) == ["2"]
  with pytest.raises(DataError, match="no-person-boxes.*category 4"):
    keypoint_files.read_person_boxes(path, 4)
  path.write_text(json.dumps([{**box, "category_id": "1"}]))
  with pytest.raises(DataError, match="entry 0: category_id 1"):
    keypoint_files.read_person_boxes(path)
