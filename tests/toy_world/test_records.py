"""Records of the toy world: the same from any number of processes, and true to the pictures."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.records import keypoint_schema, label_map, schema
from jft_reps.toy_world import records, render_process
from jft_reps.toy_world.world import ToyWorld

WORLD = ToyWorld(size=64)


def _examples(record_set):
  for path in record_set.paths:
    for raw in tf.data.TFRecordDataset(path).as_numpy_iterator():
      yield tf.train.Example.FromString(raw).features.feature


def test_records_are_the_same_from_one_process_and_from_two(tmp_path):
  calls = []
  sets = [
      records.write_records(
          WORLD, tmp_path / str(n), "train", 7, 150, shards=3, processes=n,
          progress=lambda done, total: calls.append((done, total)))
      for n in (1, 2)
  ]
  assert calls == 2 * [(64, 150), (128, 150), (150, 150)]
  assert [s.sha256 for s in sets[0].shards] == [s.sha256 for s in sets[1].shards]
  ids = {f[schema.SOURCE_ID].bytes_list.value[0].decode() for f in _examples(sets[0])}
  assert ids == {f"train-{i:08d}" for i in range(7, 157)}
  assert sets[0].metadata["world"] == WORLD.arguments


def test_records_hold_what_the_pictures_hold(tmp_path):
  record_set = records.write_records(
      WORLD, tmp_path, "transfer_dev", 0, 12, shards=1, masks=True)
  count = 0
  for feature in _examples(record_set):
    name = feature[schema.SOURCE_ID].bytes_list.value[0].decode()
    picture = WORLD.picture("transfer_dev", int(name.split("-")[1]))
    assert tuple(feature[schema.LABEL].int64_list.value) == picture.labels
    assert tuple(feature[schema.OBJECT_LABEL].int64_list.value) == picture.leaves
    boxes = np.array([feature[side].float_list.value for side in schema.BOX]).T
    assert np.allclose(boxes, [thing.box for thing in picture.objects])
    image = tf.io.decode_jpeg(feature[schema.ENCODED].bytes_list.value[0]).numpy()
    assert np.abs(image.astype(int) - picture.image).mean() < 8
    for raw, thing in zip(feature[schema.OBJECT_MASK].bytes_list.value, picture.objects):
      mask = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_GRAYSCALE)
      assert np.array_equal(mask, thing.mask)
    assert not set(schema.KEYPOINT) & set(feature)
    count += 1
  assert count == 12


def test_figures_are_people_of_one_class_with_the_points_of_their_schema(tmp_path):
  record_set = records.write_records(WORLD, tmp_path, "figures_dev", 3, 20, shards=2)
  assert label_map.labels_of(record_set) == ("person",)
  assert record_set.metadata["annotations"] == "keypoints"
  points_schema = keypoint_schema.from_json(record_set.metadata["keypoints"])
  assert points_schema == keypoint_schema.read("toy_world")
  people = 0
  for feature in _examples(record_set):
    name = feature[schema.SOURCE_ID].bytes_list.value[0].decode()
    figures = WORLD.picture("figures_dev", int(name.split("-")[1])).objects
    assert list(feature[schema.LABEL].int64_list.value) == [0]
    assert list(feature[schema.OBJECT_LABEL].int64_list.value) == [0] * len(figures)
    assert list(feature[schema.OBJECT_CROWD].int64_list.value) == [0] * len(figures)
    areas = feature[schema.OBJECT_AREA].float_list.value
    assert list(areas) == [thing.mask.sum() for thing in figures]
    boxes = np.array([feature[side].float_list.value for side in schema.BOX]).T
    assert np.allclose(boxes, [thing.box for thing in figures])
    y, x = (feature[key].float_list.value for key in schema.KEYPOINT[:2])
    points = np.stack([y, x, feature[schema.KEYPOINT[2]].int64_list.value], -1)
    points = points.reshape(len(figures), points_schema.count, 3)
    assert np.allclose(points, [thing.keypoints for thing in figures])
    people += len(figures)
  assert people > 30


def test_objects_without_joints_get_keypoints_marked_as_not_annotated():
  world = ToyWorld(size=64)
  picture = next(p for p in (world.picture("train", i) for i in range(99))
                 if all(thing.keypoints is None for thing in p.objects))
  fields = render_process.encoded(picture, 95, masks=False, keypoints=True)
  assert np.shape(fields["keypoints"]) == (len(picture.objects), 14, 3)
  assert not np.any(fields["keypoints"]) and "object_masks" not in fields


def test_rendering_processes_load_no_tensorflow():
  code = "import sys, jft_reps.toy_world.render_process; print('tensorflow' in sys.modules)"
  run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert run.stdout.strip() == "False"


def test_a_renderer_that_dies_is_reported_and_nothing_is_left(tmp_path, monkeypatch):
  broken = dict(WORLD.arguments, size=1)
  monkeypatch.setattr(ToyWorld, "arguments", property(lambda self: broken))
  with pytest.raises(errors.DataError, match="renderer-died.*out-of-range"):
    records.write_records(WORLD, tmp_path, "dev", 0, 80, shards=1, processes=2)
  assert not list(tmp_path.iterdir())


def test_bad_arguments_are_named(tmp_path):
  with pytest.raises(errors.ConfigError, match="'tarin'"):
    records.write_records(WORLD, tmp_path, "tarin", 0, 1, shards=1)
  with pytest.raises(errors.ConfigError, match="at least 1 picture"):
    records.write_records(WORLD, tmp_path, "dev", 0, 0, shards=1)
