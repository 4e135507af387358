"""Detection sets that TFDS prepared here become records with the same bytes, boxes and ids."""

from __future__ import annotations

import io

import numpy as np
import pytest

from jft_reps.apps import build_records, command_line
from jft_reps.data.records import label_map, writing
from tests.data import box_files
from tests.data import picture_files as files
from tests.data.sources.tfds import tfds_made

_NAMES = [f"thing{i}" for i in range(80)]


def _box(*corners):
  import tensorflow_datasets as tfds

  return tfds.features.BBox(*corners)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  """`coco/2017` with crowds and areas, `voc/2007` with difficult objects, as TFDS defines them."""
  import tensorflow_datasets as tfds

  root = tmp_path_factory.mktemp("tfds")
  shared = {"image": tfds.features.Image(), "image/filename": tfds.features.Text()}
  label = tfds.features.ClassLabel(names=_NAMES)
  coco = {**shared, "image/id": np.int64, "objects": tfds.features.Sequence({
      "id": np.int64, "area": np.int64, "bbox": tfds.features.BBoxFeature(),
      "label": label, "is_crowd": np.bool_})}
  thing = {"id": 1, "area": 77, "bbox": _box(0.25, 0.125, 0.5, 1.0), "label": 79,
           "is_crowd": True}
  tfds_made.prepare(root, "coco", coco, {"train": [
      {"image": io.BytesIO(files.encoded(i, 32, 64)), "image/filename": f"{i}.jpg",
       "image/id": 900 + i, "objects": [thing] * i} for i in range(3)]}, config="2017")
  voc = {**shared, "objects": tfds.features.Sequence({
      "label": tfds.features.ClassLabel(names=["cat", "dog"]),
      "bbox": tfds.features.BBoxFeature(), "is_difficult": np.bool_, "is_truncated": np.bool_}),
      "labels": tfds.features.Sequence(tfds.features.ClassLabel(names=["cat", "dog"]))}
  objects = [{"label": 1, "bbox": _box(1 / 32, 1 / 64, 1.0, 1.0), "is_difficult": d,
              "is_truncated": False} for d in (True, False)]
  tfds_made.prepare(root, "voc", voc, {"test": [
      {"image": io.BytesIO(files.encoded(9, 32, 64)), "image/filename": "000009.jpg",
       "objects": objects, "labels": [1]}]}, config="2007")
  return root


def _build(data_dir, out, source, *more):
  assert command_line.run(build_records.main, [
      "build_records", f"--source=tfds:{source}", f"--input={data_dir}", f"--output={out}",
      "--shards=1", "--processes=1", *more]) == 0


def test_coco_keeps_bytes_boxes_crowds_areas_and_ids(data_dir, tmp_path, capsys):
  _build(data_dir, tmp_path, "coco/2017")
  assert "3 boxes, 0 of them clipped" in capsys.readouterr().out
  record_set = writing.load(tmp_path, "train", full=True)
  got = box_files.stored(record_set)
  assert sorted(got) == ["900", "901", "902"]
  assert [got[str(900 + i)]["encoded"] for i in range(3)] == [
      files.encoded(i, 32, 64) for i in range(3)]
  assert got["902"]["boxes"] == [(0.25, 0.125, 0.5, 1.0)] * 2
  assert (got["902"]["crowd"], got["902"]["area"]) == ([1, 1], [77.0, 77.0])
  assert got["902"]["labels"] == [79, 79] and got["902"]["class"] == [79]
  about = record_set.metadata
  assert label_map.labels_of(record_set) == tuple(_NAMES)
  assert about["category_ids"][:13] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14]
  assert about["category_ids"][-1] == 90 and len(about["category_ids"]) == 80
  assert (about["exif"], about["annotations"]) == ("ignored", "boxes")


def test_voc_has_its_first_pixel_at_the_edge(data_dir, tmp_path):
  """TFDS divides VOC's numbers, which count from 1, by the sides: all of a picture starts at 1."""
  _build(data_dir, tmp_path, "voc/2007", "--split=test")
  record_set = writing.load(tmp_path, "test")
  got = box_files.stored(record_set)["000009"]
  np.testing.assert_allclose(got["boxes"], [(0, 0, 1, 1)] * 2, atol=1e-6)
  assert got["difficult"] == [1, 0] and got["labels"] == [1, 1]
  np.testing.assert_allclose(got["area"], [32 * 64] * 2, rtol=1e-5)
  assert "category_ids" not in record_set.metadata


def test_naming_the_label_feature_leaves_boxes_out(data_dir, tmp_path):
  _build(data_dir, tmp_path, "coco/2017", "--tfds_label=objects/label")
  record_set = writing.load(tmp_path, "train")
  assert "annotations" not in record_set.metadata
  assert sorted(len(r["class"]) for r in _plain(record_set)) == [0, 1, 1]


def _plain(record_set):
  import tensorflow as tf

  for path in record_set.paths:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      features = tf.train.Example.FromString(record).features.feature
      assert not [key for key in features if key.startswith("image/object")]
      yield {"class": features["image/class/label"].int64_list.value}
