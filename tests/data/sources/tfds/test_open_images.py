"""Sets in the layout of TFDS's `open_images_v4`: labels of people and machines, and boxes."""

from __future__ import annotations

import io

import numpy as np
import pytest

from jft_reps.apps import build_records, command_line
from jft_reps.data.records import label_map, schema, writing
from jft_reps.data.sources.tfds import boxes as tfds_boxes
from jft_reps.data.sources.tfds import sets
from tests.data import box_files
from tests.data import picture_files as files
from tests.data.sources.tfds import tfds_made

_ALL = ["/m/011k07", "/m/0199g", "/m/01g317", "/m/02wbm"]
_SOURCES = ["verification", "crowdsource-verification", "machine", "freeform", "xclick",
            "activemil"]
_MARKS = ("is_occluded", "is_truncated", "is_group_of", "is_depiction", "is_inside")


def _said(label, confidence, source):
  return {"label": _ALL[label], "confidence": confidence, "source": source}


def _box(label, corners, group):
  import tensorflow_datasets as tfds

  return {"label": label, "source": "xclick", "bbox": tfds.features.BBox(*corners),
          **dict.fromkeys(_MARKS, -1), "is_group_of": group}


def _examples():
  said = [_said(0, 9, "machine"), _said(1, 7, "machine"), _said(1, 0, "verification"),
          _said(2, 10, "crowdsource-verification"), _said(3, 0, "verification"),
          _said(2, 5, "machine")]
  boxes = [_box("/m/01g317", (0.25, 0.125, 0.5, 1.0), 1),
           _box("/m/02wbm", (0.0, 0.0, 1.0, 1.0), -1)]
  for i in range(2):
    yield {"image": io.BytesIO(files.encoded(i, 32, 64)), "image/filename": f"{i:016x}.jpg",
           "objects": said * i, "objects_trainable": [s for s in said if s["label"] != _ALL[3]] * i,
           "bobjects": boxes * i}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  import tensorflow_datasets as tfds

  root = tmp_path_factory.mktemp("tfds")
  source = tfds.features.ClassLabel(names=_SOURCES)
  levels = {name: tfds.features.Sequence({
      "label": tfds.features.ClassLabel(names=names), "confidence": np.int32, "source": source})
            for name, names in (("objects", _ALL), ("objects_trainable", _ALL[:3]))}
  boxes = tfds.features.Sequence({
      "label": tfds.features.ClassLabel(names=_ALL[2:]), "source": source,
      "bbox": tfds.features.BBoxFeature(), **dict.fromkeys(_MARKS, np.int8)})
  features = {"image": tfds.features.Image(), "image/filename": tfds.features.Text(), **levels,
              "bobjects": boxes}
  tfds_made.prepare(root, "open_images_v4", features, {"train": list(_examples())}, "2.0.0",
                    config="300k")
  return root


@pytest.mark.parametrize("label, absent", [
    (None, ("/m/0199g", "/m/02wbm")), ("objects_trainable/label", ("/m/0199g",))])
def test_people_overrule_machines_and_absence_is_kept(data_dir, label, absent):
  opened = sets.open_split("open_images_v4/300k", data_dir, "train", label, "image/filename")
  none, some = sorted(opened.read(), key=lambda s: s.picture_id)
  assert (none.labels, none.absent, none.data) == ((), (), files.encoded(0, 32, 64))
  assert dict(zip(some.labels, some.confidences)) == {"/m/011k07": 0.9, "/m/01g317": 1.0}
  assert (some.picture_id, some.absent) == (f"{1:016x}.jpg", absent)


def test_boxes_come_with_groups_as_crowds(data_dir):
  opened = tfds_boxes.open_split("open_images_v4", data_dir, "train", "bobjects")
  none, some = sorted(opened.read(), key=lambda s: s.picture_id)
  assert none.objects.boxes.shape == (0, 4) and some.picture_id == f"{1:016x}"
  assert (some.objects.labels, some.objects.crowd) == (("/m/01g317", "/m/02wbm"), (True, False))
  np.testing.assert_array_equal(some.objects.boxes, [[0.25, 0.125, 0.5, 1], [0, 0, 1, 1]])


def _build(data_dir, out, *more):
  assert command_line.run(build_records.main, [
      "build_records", "--source=tfds:open_images_v4/300k", f"--input={data_dir}",
      f"--output={out}", "--shards=1", "--processes=1", *more]) == 0
  return writing.load(out, "train", full=True)


def test_records_of_both(data_dir, tmp_path):
  import tensorflow as tf

  labels = _build(data_dir, tmp_path / "labels", "--tfds_id=image/filename")
  assert label_map.labels_of(labels) == tuple(_ALL)
  [path] = labels.paths
  got = {}
  for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
    feature = tf.train.Example.FromString(record).features.feature
    got[feature[schema.SOURCE_ID].bytes_list.value[0]] = (
        sorted(feature[schema.LABEL].int64_list.value),
        sorted(feature[schema.ABSENT].int64_list.value))
  assert got == {b"%016x.jpg" % 0: ([], []), b"%016x.jpg" % 1: ([0, 2], [1, 3])}
  boxes = box_files.stored(_build(data_dir, tmp_path / "boxes", "--tfds_label=bobjects"))
  assert boxes[f"{1:016x}"]["crowd"] == [1, 0] and boxes[f"{1:016x}"]["labels"] == [0, 1]
