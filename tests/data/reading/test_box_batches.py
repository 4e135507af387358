"""Pictures with boxes from records: pixels, boxes and flags that fit, and bad records counted."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.building import build
from jft_reps.data.reading import box_batches, guarded
from jft_reps.data.records import reasons, schema
from jft_reps.data.records.writing import Writer
from jft_reps.data.sources.coco import annotations as coco
from jft_reps.task import Place
from tests.data import picture_files as files

_SIDES = {"min_side": 60, "max_side": 100}


def _record(name, boxes=((0.25, 0.1, 0.75, 0.5),), labels=(1,), picture=None, **more):
  picture = files.encoded(sum(name.encode()), 24, 32) if picture is None else picture
  return schema.encode(
      name, picture, "jpeg", 24, 32, [], boxes=boxes, object_labels=labels, **more)


def _raw(name, without=(), **feature):
  """A good record with features of the boxes left out or replaced by lists of numbers."""
  example = tf.train.Example.FromString(_record(name))
  for key in without:
    del example.features.feature[key]
  for key, values in feature.items():
    full = next(k for k in schema.box_features() if k.endswith(key))
    example.features.feature.pop(full, None)
    kind = example.features.feature[full]
    (kind.int64_list if isinstance(values[0], int) else kind.float_list).value.extend(values)
  return example.SerializeToString()


def _write(directory, entries, shards=3):
  with Writer(directory, "train", shards) as writer:
    for name, record in entries:
      writer.write(name, record)
  return writer.record_set


def _evaluate(record_set, **arguments):
  arguments = {"num_classes": 5, **_SIDES, **arguments}
  return {e["id"][0].decode(): e for e in box_batches.eval_batches(
      record_set, **arguments).as_numpy_iterator()}


def _train(record_set, count, **arguments):
  arguments = {"num_classes": 5, "shuffle": 4, **_SIDES, **arguments}
  return list(box_batches.train_batches(record_set, **arguments).take(count).as_numpy_iterator())


BAD_BOXES = {
    "nan": (float("nan"), 0.1, 0.5, 0.5), "inf": (0.1, 0.1, float("inf"), 0.5),
    "zero area": (0.5, 0.1, 0.5, 0.5), "swapped": (0.6, 0.1, 0.5, 0.5),
    "outside": (1.5, 0.1, 1.9, 0.5), "pixels": (10, 20, 200, 300)}
_BOXES = [(0.25, 0.125, 0.75, 0.5), (-0.5, 0.5, 1.25, 1.0), (0.5, 0.5, 0.5, 0.6)]


def _with_box(name, box):
  sides = [side.rpartition("/")[2] for side in schema.BOX]
  return name, _raw(name, **{side: [float(v)] for side, v in zip(sides, box)})


@pytest.fixture(scope="module")
def small(tmp_path_factory):
  """One picture by hand, with a box that reaches out and one that is none; others with less."""
  return _write(tmp_path_factory.mktemp("small"), [
      ("a", _record("a", _BOXES, (3, 1, 2), crowd=(0, 1, 0), difficult=(1, 0, 0),
                    area=(5.0, 7.5, 9.0))),
      ("b", _record("b", _BOXES[:1], (0,))), ("none", _record("none", (), ())),
      ("bare", files.example("bare", files.encoded(4))),
      *(_with_box(name, box) for name, box in BAD_BOXES.items())])


@pytest.fixture(scope="module")
def small_read(small):
  return _evaluate(small)


def test_boxes_flags_and_sizes_of_a_picture(small_read):
  """24 x 32 becomes 60 x 80."""
  a = small_read["a"]
  assert a["image"].shape == (1, 60, 80, 3) and a["size"].tolist() == [[24, 32]]
  np.testing.assert_allclose(a["boxes"], [[(15, 10, 45, 40), (0, 40, 60, 80)]], atol=1e-4)
  assert a["classes"].tolist() == [[3, 1]] and a["crowd"].tolist() == [[False, True]]
  assert a["difficult"].tolist() == [[True, False]] and a["area"].tolist() == [[5.0, 7.5]]
  assert a["dropped_boxes"].tolist() == [1]
  types = {k: v.dtype.name for k, v in a.items() if k != "id"}
  assert types == {
      "image": "uint8", "size": "int64", "boxes": "float32", "classes": "int64", "crowd": "bool",
      "difficult": "bool", "area": "float32", "dropped_boxes": "int64", "position": "int64",
      "dropped": "int64", "quarantined": "int64"}


def test_what_a_record_does_not_say(small_read):
  b = small_read["b"]
  assert b["crowd"].tolist() == b["difficult"].tolist() == [[False]]
  np.testing.assert_allclose(b["area"], [[12 * 12]], rtol=1e-5)  # that of the box
  for name in ("none", "bare"):
    assert small_read[name]["boxes"].shape == (1, 0, 4)
    assert small_read[name]["classes"].shape == (1, 0)


def test_bad_boxes_are_left_out_and_counted_and_the_picture_stays(small_read):
  for name in BAD_BOXES:
    assert small_read[name]["dropped_boxes"].tolist() == [1]
    assert small_read[name]["boxes"].shape == (1, 0, 4)


def test_without_resizing_only_the_pixels_differ(small, small_read):
  for name, got in _evaluate(small, resize=False).items():
    assert got["image"].shape == (1, 24, 32, 3)
    for key in set(got) - {"image"}:
      np.testing.assert_array_equal(got[key], small_read[name][key])


@pytest.fixture(scope="module")
def photos(shared_data, tmp_path_factory):
  folder = shared_data / "detection" / "coco128"
  opened = coco.open_set(
      [folder / "annotations" / "instances_train2017.json"], [folder / "train2017"])
  out = tmp_path_factory.mktemp("photos")
  return build.build(
      opened.read, out, "train", 4, opened.labels, boxes=True).record_set


@pytest.fixture(scope="module")
def photos_read(photos):
  return _evaluate(photos, num_classes=80)


def test_every_photo_once_with_its_boxes_in_pixels(photos, photos_read):
  got = photos_read.values()
  assert len(got) == 128
  assert sum(e["boxes"].shape[1] for e in got) == 939 and sum(e["crowd"].sum() for e in got) == 10
  stored = {}
  for path in photos.paths:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature
      stored[feature[schema.SOURCE_ID].bytes_list.value[0].decode()] = feature
  for name, e in list(photos_read.items())[::8]:
    feature = stored[name]
    pixels = tf.io.decode_jpeg(feature[schema.ENCODED].bytes_list.value[0], channels=3)
    height, width = e["image"].shape[1:3]
    assert min(height, width) == 60 or max(height, width) == 100
    want = tf.round(tf.image.resize(pixels, [height, width], antialias=False)).numpy()
    assert np.abs(want - e["image"][0]).max() <= 1
    sides = np.stack([feature[side].float_list.value for side in schema.BOX], 1)
    np.testing.assert_allclose(e["boxes"][0], sides * np.tile([height, width], 2), atol=1e-3)


def test_mirroring_turns_picture_and_boxes_alike(photos, photos_read):
  kinds = collections.Counter()
  for e in _train(photos, 128, num_classes=80, place=Place(seed=3)):
    want = photos_read[e["id"][0].decode()]
    width = e["image"].shape[2]
    off = np.abs(e["image"].astype(int) - want["image"]).max()
    if off <= 1:
      np.testing.assert_array_equal(e["boxes"], want["boxes"])
    else:
      assert np.abs(e["image"].astype(int)[:, :, ::-1] - want["image"]).max() <= 1
      y0, x0, y1, x1 = np.moveaxis(want["boxes"], -1, 0)
      np.testing.assert_allclose(
          e["boxes"], np.stack([y0, width - x1, y1, width - x0], -1), atol=1e-3)
    kinds[bool(off <= 1)] += 1
    np.testing.assert_array_equal(e["classes"], want["classes"])
  assert 40 < kinds[True] < 88 and sum(kinds.values()) == 128


BAD_RECORDS = {
    "parse_error": [
        b"\xff\xfe\x00", _raw("labels", label=[1, 2]), _raw("side", xmax=[0.5, 0.6]),
        _raw("crowd", is_crowd=[1, 0, 1]), _raw("area", area=[1.0, 2.0]),
        _raw("no labels", without=[schema.OBJECT_LABEL]),
        _raw("no side", without=[schema.BOX[0]]), _raw("type", label=[0.5])],
    "missing_feature": [b"", _raw("no picture", without=[schema.ENCODED])],
    "empty_image": [_record("empty", picture=b"")],
    "unsupported_format": [_record("gif", picture=files.encoded(1, form="GIF"))],
    "too_many_pixels": [_record("bomb", picture=files.jpeg_of_claimed_size(65500, 65500))],
    "too_small": [_record("dot", picture=files.encoded(1, 1, 1))],
    "bad_aspect": [_record("line", picture=files.encoded(1, 10, 400))],
    "decode_error": [_record("cut", picture=files.encoded(2)[:-200])],
    "label_out_of_range": [_record(str(i), labels=(i,)) for i in (-1, 5, 2**40)],
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
  bad = [(f"bad {r} {i}", x) for r, xs in BAD_RECORDS.items() for i, x in enumerate(xs)]
  good = [(f"good {i}", _record(f"good {i}")) for i in range(len(bad))]
  return _write(tmp_path_factory.mktemp("mixed"), bad + good)


def _dropped(examples):
  total = sum(e["dropped"][0] for e in examples)
  return {n: int(c) for n, c in zip(reasons.NAMES, total) if c}


def test_bad_records_are_left_out_and_counted_by_reason(mixed):
  got = _evaluate(mixed)
  assert _dropped(got.values()) == {reason: len(rs) for reason, rs in BAD_RECORDS.items()}
  assert sorted(got) == sorted(f"good {i}" for i in range(mixed.records // 2))


def test_too_many_bad_boxes_stop_with_a_question(tmp_path):
  pixels = _record("a", [(10, 20, 200, 300)] * 400, [1] * 400)
  with pytest.raises(tf.errors.InvalidArgumentError, match="are they normalised"):
    _train(_write(tmp_path, [("a", pixels)], 1), 4)


def test_limits_on_bad_records_hold(mixed):
  with pytest.raises(tf.errors.InvalidArgumentError, match="too many bad records.*parse_error"):
    _train(mixed, 100, limits=guarded.Limits(early_fraction=0.2, early_after=10))


@pytest.fixture(scope="module")
def reader(mixed):
  """Reads with position, count and worker as tensors of one traced graph."""
  triple, scalar = tf.TensorSpec([3], tf.int64), tf.TensorSpec([], tf.int64)

  @tf.function(input_signature=[triple, scalar, scalar, scalar])
  def read(position, count, worker, workers):
    batches = box_batches.train_batches(
        mixed, num_classes=5, shuffle=4, place=Place(worker, workers, 7, position),
        limits=guarded.Limits(early_after=10**9), **_SIDES)
    keys = ("id", "image", "boxes", "position", "dropped", "quarantined")
    batches = batches.map(lambda e: {k: e[k][0] for k in keys})
    return batches.take(count).batch(1000).get_single_element()

  return read


def test_resuming_is_bit_equal(reader):
  whole = reader((0, 0, 0), 40, 0, 1)
  for used in (0, 5, 17, 18, 19, 25, 38):
    rest = reader(whole["position"][used], 39 - used, 0, 1)
    for key, values in rest.items():
      np.testing.assert_array_equal(values, whole[key][used + 1 :], err_msg=key)


def test_two_workers_cover_each_picture_once_an_epoch(mixed, reader):
  ids = collections.Counter()
  for worker in (0, 1):
    got = reader((0, 0, 0), 60, worker, 2)
    ids.update(i for i, p in zip(got["id"].numpy(), got["position"].numpy()) if p[0] == 0)
  assert ids == {f"good {i}".encode(): 1 for i in range(mixed.records // 2)}


@pytest.mark.parametrize("arguments, message", [
    ({"min_side": 0}, "min_side"), ({"min_side": 700, "max_side": 600}, "700, max_side 600"),
    ({"num_classes": 0}, "num_classes")])
def test_bad_arguments(mixed, arguments, message):
  with pytest.raises(errors.ConfigError, match=message):
    box_batches.train_batches(mixed, **{"num_classes": 5, **arguments})
