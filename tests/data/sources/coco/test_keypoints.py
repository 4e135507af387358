"""People in COCO's format become records with the same points, or an error that names them."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.apps import build_records, command_line
from jft_reps.data.building.boxes import PlacedBoxes
from jft_reps.data.records import keypoint_schema, label_map, schema, writing
from jft_reps.data.sources import raw
from tests.data import box_files

PAIR = keypoint_schema.KeypointSchema(
    "pair", ("nose", "left_ear", "right_ear"), ((1, 2),), ((0, 1), (0, 2)), (0.1, 0.1, 0.1))


def _people(**last):
  """Two people of three points and a dog; `last` changes the last person."""
  people = [
      {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 4, 20, 8], "area": 99.5,
       "iscrowd": 0, "keypoints": [12, 5, 2, 49, 39, 1, 0, 0, 0], "num_keypoints": 2},
      {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 30, 30], "area": 300,
       "iscrowd": 0, "keypoints": [0, 0, 0, 0, 0, 2, -3, 7, 1], "num_keypoints": 2}]
  people[1] = {k: v for k, v in {**people[1], **last}.items() if v != "DROP"}
  dog = {"id": 3, "image_id": 1, "category_id": 18, "bbox": [1, 1, 5, 5]}
  return {
      "images": [{"id": i, "file_name": f"{i}.jpg", "height": 40, "width": 50} for i in (1, 2)],
      "categories": [{"id": 18, "name": "dog"}, {
          "id": 1, "name": "person", "keypoints": ["nose", "left_ear", "right_ear"],
          "skeleton": [[3, 1], [1, 2]]}],
      "annotations": [people[0], dog, people[1]]}


def _run(tmp_path, content, *more):
  """(exit code, folder of the records) of a build of one annotation file."""
  folder = box_files.pictures(tmp_path / "in", ["1.jpg", "2.jpg"])
  path = box_files.write_coco(tmp_path, content)
  (tmp_path / "pair.json").write_text(json.dumps(PAIR.to_json()))
  out = tmp_path / "out"
  code = command_line.run(build_records.main, [
      "build_records", "--source=coco_keypoints", f"--input={folder}", f"--annotations={path}",
      f"--keypoints={tmp_path / 'pair.json'}", f"--output={out}", "--shards=1", "--processes=1",
      *more])
  return code, out


def _points(record_set) -> dict[str, np.ndarray]:
  """(y, x, visibility) of every record, `[n, K, 3]`, y and x in pixels."""
  count = len(record_set.metadata["keypoints"]["names"])
  found = {}
  for path in record_set.paths:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature
      y, x = (np.array(feature[key].float_list.value, np.float32) for key in schema.KEYPOINT[:2])
      height, width = (feature[key].int64_list.value[0] for key in (schema.HEIGHT, schema.WIDTH))
      visibility = np.array(feature[schema.KEYPOINT[2]].int64_list.value)
      found[feature[schema.SOURCE_ID].bytes_list.value[0].decode()] = np.stack(
          [y * height, x * width, visibility], -1).reshape(-1, count, 3)
  return found


def test_records_hold_points_at_pixel_centres_and_zeros_where_none_is_in_the_picture(
    tmp_path, capsys):
  code, out = _run(tmp_path, _people())
  said = capsys.readouterr().out
  assert code == 0 and "2 boxes, 0 of them clipped" in said
  assert ("2 people, 2 of them with points, 3 points; 1 points outside of their pictures left out; "
          "1 categories without keypoints; 1 annotations without keypoints\n") in said
  record_set = writing.load(out, "train", full=True)
  about = record_set.metadata
  assert label_map.labels_of(record_set) == ("person",) and about["category_ids"] == [1]
  assert (about["annotations"], about["exif"]) == ("keypoints", "ignored")
  assert keypoint_schema.from_json(about["keypoints"]) == PAIR
  assert [about[k] for k in ("people", "people_with_points", "points", "points_outside",
                             "annotations_without_keypoints")] == [2, 2, 3, 1, 1]
  got = _points(record_set)
  # The second of the first person lies outside of the box and inside of the picture.
  np.testing.assert_allclose(got["1"][0], [(5.5, 12.5, 2), (39.5, 49.5, 1), (0, 0, 0)], atol=1e-5)
  np.testing.assert_allclose(got["1"][1], [(0, 0, 0), (0.5, 0.5, 2), (0, 0, 0)], atol=1e-5)
  assert got["2"].shape == (0, 3, 3)
  stored = box_files.stored(record_set)
  assert stored["1"]["labels"] == [0, 0] and stored["1"]["area"] == [99.5, 300]


@pytest.mark.parametrize("name, people, pointed, points", [
    ("detection/mmpose_kp/coco/test_coco.json", 14, 12, 181),
    ("evalref/faster_coco_eval/keypoints_dataset/gt_dataset.json", 13, 11, None)])
def test_every_point_of_real_people(
    shared_data, tmp_path, capsys, name, people, pointed, points):
  content = json.loads((shared_data / name).read_text())
  folder = (shared_data / name).parent
  if points is None:  # pictures are not at hand
    folder = tmp_path / "in"
    for image in content["images"]:
      box_files.pictures(folder, [image["file_name"]], image["height"], image["width"])
  assert command_line.run(build_records.main, [
      "build_records", "--source=coco_keypoints", f"--input={folder}",
      f"--annotations={shared_data / name}", f"--output={tmp_path}", "--shards=2",
      "--processes=1"]) == 0
  assert f"\n{people} people, {pointed} of them with points, " in capsys.readouterr().out
  record_set = writing.load(tmp_path, "train")
  got, stored, labelled = _points(record_set), box_files.stored(record_set), 0
  for image in content["images"]:
    theirs = [a for a in content["annotations"] if a["image_id"] == image["id"]]
    assert stored[str(image["id"])]["crowd"] == [a["iscrowd"] for a in theirs]
    flat = np.array([a["keypoints"] for a in theirs], float).reshape(-1, 17, 3)
    mine = got[str(image["id"])]
    np.testing.assert_array_equal(mine[..., 2], flat[..., 2])
    seen = flat[..., 2] > 0
    np.testing.assert_allclose(mine[seen][:, 1::-1] - 0.5, flat[seen][:, :2], atol=1e-4)
    assert not mine[~seen].any()
    labelled += seen.sum()
  assert record_set.metadata["points"] == labelled == (points or labelled)


def test_people_and_crowds_without_points_are_kept(tmp_path, capsys):
  content = _people(keypoints="DROP", num_keypoints="DROP", iscrowd=1)
  content["annotations"] += [
      {"id": 9, "image_id": 2, "category_id": 1, "bbox": [1, 1, 9, 9], "keypoints": [0] * 9},
      {"id": 8, "image_id": 2, "category_id": 1, "bbox": [1, 1, 9, 9], "keypoints": []},
      {"id": 7, "image_id": 2, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": 1,
       "keypoints": [3, 3, 2] * 3}]
  code, out = _run(tmp_path, content)
  assert code == 0
  assert "3 people, 1 of them with points, 2 points; 0 points" in capsys.readouterr().out
  record_set = writing.load(out, "train")
  got, crowd = _points(record_set), box_files.stored(record_set)["2"]["crowd"]
  assert not got["1"][1].any() and crowd == [0, 0, 1]
  assert [int((p[:, 2] > 0).sum()) for p in got["2"]] == [0, 0, 3]


def test_a_box_that_is_left_out_takes_its_points_along():
  """The fields of `schema.encode` stay in step, whatever the boxes are counted in."""
  points = np.arange(27.0).reshape(3, 3, 3) % 20
  points[..., 2] = 2
  for one_based, normalised in ((False, False), (True, False), (False, True)):
    boxes = np.array([[1, 1, 9, 9], [5, 5, 5, 8], [2, 2, 12, 12.0]]) + [one_based, one_based, 0, 0]
    boxes = boxes / 20 if normalised else boxes
    objects = raw.Objects(boxes, ("person",) * 3, (False,) * 3, (False,) * 3, (1.0, 2.0, 3.0),
                          one_based=one_based, normalised=normalised, keypoints=points)
    placed = PlacedBoxes()
    fields, names = placed.place(objects, 20, 20)
    assert len(names) == len(fields["boxes"]) == 2 and fields["area"].tolist() == [1, 3]
    np.testing.assert_allclose(fields["keypoints"][..., :2] * 20, points[[0, 2], :, :2])
    assert placed.people == {"people": 2, "people_with_points": 2, "points": 6,
                             "points_outside": 0}
    schema.encode("x", b"", "jpeg", 20, 20, [0], object_labels=[0, 0], **fields)


def test_an_image_listed_again_as_it_was_is_one_picture(tmp_path, capsys):
  content = _people()
  content["images"].append(dict(content["images"][0]))
  code, out = _run(tmp_path, content)
  assert code == 0 and "; 1 repeated images; 1 categories" in capsys.readouterr().out
  record_set = writing.load(out, "train")
  assert record_set.records == 2 and record_set.metadata["repeated_images"] == 1
  content["images"][-1]["height"] = 41
  assert _run(tmp_path, content, "--overwrite")[0] == 2
  assert "image 1: the id is given twice, again in images[2]" in capsys.readouterr().err


def _category(**entry):
  content = _people()
  content["categories"][1].update(entry)
  return content


_NAMES = ["nose", "left_ear", "right_ear"]


@pytest.mark.parametrize("content, message", [
    (_people(keypoints=[1, 2, 2]), "annotation 2: keypoints: 3 numbers; expected 9: x, y, v of 3"),
    (_people(keypoints="1 2 2"), "annotation 2: keypoints: '1 2 2'"),
    (_people(keypoints={"x": 1}), "annotation 2: keypoints: {'x': 1}"),
    (_people(keypoints=[1, 2, 2, float("nan"), 2, 2, 0, 0, 0]),
     "annotation 2: x of keypoint 2 is nan; expected a finite number"),
    (_people(keypoints=[1, float("inf"), 0] * 3), "annotation 2: y of keypoint 1 is inf"),
    (_people(keypoints=[1, 10**400, 0] * 3), "annotation 2: y of keypoint 1 is 1"),
    (_people(keypoints=[1, "2", 2] * 3), "annotation 2: y of keypoint 1 is '2'"),
    (_people(keypoints=[1, None, 2] * 3), "annotation 2: y of keypoint 1 is None"),
    (_people(keypoints=[1, 1, 3] * 3), "annotation 2: v of keypoint 1 is 3; expected 0, 1 or 2"),
    (_people(keypoints=[1, 1, 0.5] * 3), "annotation 2: v of keypoint 1 is 0.5"),
    (_people(keypoints=[1, 1, True] * 3), "annotation 2: v of keypoint 1 is True"),
    (_people(keypoints=[1, 1, [2]] * 3), r"annotation 2: v of keypoint 1 is \[2\]"),
    (_people(num_keypoints=1), "annotation 2: num_keypoints 1; expected 2, the points with v"),
    (_people(num_keypoints="x"), "annotation 2: num_keypoints x"),
    (_people(keypoints="DROP"), "annotation 2: num_keypoints 2; expected 0"),
    (_people(category_id=[18]), "annotation 2: category_id"),
    (_category(keypoints=["nose", "ear", "right_ear"]),
     "category 1: keypoint 2 of 3 is 'ear'; expected 'left_ear', of 3 in schema 'pair'"),
    (_category(keypoints=_NAMES[:2]), "keypoint 3 of 2 is missing; expected 'right_ear'"),
    (_category(keypoints=[*_NAMES, "tail"]), "keypoint 4 of 4 is 'tail'; expected the 3 of"),
    (_category(keypoints="nose"), "category 1: keypoints 'nose'; expected a list"),
    (_category(keypoints=[]), "no category names keypoints.*Is it person_keypoints"),
    (_category(skeleton=[[1, 2], [2, 3]]), "category 1: its skeleton does not join .* 1 and 3"),
    (_category(skeleton=[[1, 2], [1, 3], [2, 3]]), "category 1: its skeleton joins .* 2 and 3"),
    (_category(skeleton=[[1, 2], 3]), "category 1: skeleton with '3'"),
    (_category(skeleton={"a": 1}), "category 1: skeleton with"),
    (_category(skeleton=[[1, [2]]]), "category 1: skeleton with"),
])
def test_what_is_wrong_is_one_line_that_names_it(tmp_path, capsys, content, message):
  code, out = _run(tmp_path, content)
  assert code == 2
  [line] = [x for x in capsys.readouterr().err.splitlines() if "error[" in x]
  assert re.search(message, line), line
  assert not (out / "manifest-train.json").exists()


def test_a_skeleton_may_be_missing_or_in_another_order(tmp_path):
  for i, skeleton in enumerate(([], None, [[2, 1], [1, 3]])):
    assert _run(tmp_path / str(i), _category(skeleton=skeleton))[0] == 0


@pytest.mark.parametrize("flag, ids", [("keep_ids", "2"), ("leave_out_ids", "1")])
def test_lists_of_ids(tmp_path, flag, ids):
  (tmp_path / "ids.txt").write_text("2\n")
  code, out = _run(tmp_path, _people(), f"--{flag}={tmp_path / 'ids.txt'}")
  assert code == 0 and sorted(_points(writing.load(out, "train"))) == list(ids)


@pytest.mark.parametrize("flags, code, message", [
    (["--keypoints=cocoo"], 2, "Known by name: coco, toy_world"),
    (["--keypoints=coco"], 2, "keypoint 2 of 3 is 'left_ear'; expected 'left_eye', of 17"),
    (["--source=coco"], 1, "--keypoints: given with --source=coco; expected --source=coco_key"),
    (["--store_size=20"], 1, "store_size 20 with keypoints")])
def test_flags_that_do_not_fit(tmp_path, capsys, flags, code, message):
  assert _run(tmp_path, _people(), *flags)[0] == code
  assert message in capsys.readouterr().err
