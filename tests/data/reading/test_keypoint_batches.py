"""People from records: crops, points and places that fit, resuming, and bad records counted."""

from __future__ import annotations

import collections
import json

import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.reading import guarded, keypoint_batches
from jft_reps.data.records import keypoint_schema, reasons, schema
from jft_reps.data.records.writing import Writer
from jft_reps.ops import person_crops
from jft_reps.task import Place
from tests.data import picture_files as files

FOUR = keypoint_schema.KeypointSchema(
    "four", ("top", "left", "right", "foot"), ((1, 2),), ((0, 3),), (0.1,) * 4)
_CROP = (36, 26)
_BOX = (0.25, 0.125, 0.75, 0.5)
_NAN = float("nan")
# Where nothing is labelled anything may stand.
_POINTS = ((0.25, 0.25, 2), (0.5, 0.125, 1), (0.5, 0.375, 2), (_NAN, 0.5, 0))
_BLANK = ((0.0, 0.0, 0),) * 4


def _record(name, people=((_BOX, _POINTS, 0),), picture=None, labels=None, **more):
  """24 x 32 pixels with people of (box, points, crowd)."""
  picture = files.encoded(sum(name.encode()), 24, 32) if picture is None else picture
  boxes, points, crowd = zip(*people) if people else ((), (), ())
  labels = [0] * len(boxes) if labels is None else labels
  return schema.encode(name, picture, "jpeg", 24, 32, [], boxes=boxes, object_labels=labels,
                       keypoints=points, crowd=crowd, **more)


def _raw(name, **feature):
  """A good record with features replaced by lists of numbers."""
  example = tf.train.Example.FromString(_record(name))
  for key, values in feature.items():
    full = next(k for k in schema.object_features() if k.endswith(key))
    example.features.feature.pop(full)
    kind = example.features.feature[full]
    (kind.int64_list if isinstance(values[0], int) else kind.float_list).value.extend(values)
  return example.SerializeToString()


def _write(directory, entries, shards=3, points=FOUR):
  metadata = {"annotations": "keypoints", "keypoints": points.to_json()}
  with Writer(directory, "train", shards, metadata) as writer:
    for name, record in entries:
      writer.write(name, record)
  return writer.record_set


def _train(record_set, count, batch=1, points=FOUR, **arguments):
  """Single examples, none of which is stacked with another."""
  arguments = {"shuffle": 4, "crop": _CROP, **arguments}
  batches = keypoint_batches.train_batches(record_set, batch, points, **arguments)
  return list(batches.take(count).as_numpy_iterator())


def _evaluate(record_set, points=FOUR):
  return {e["id"][0].decode(): e
          for e in keypoint_batches.eval_batches(record_set, points).as_numpy_iterator()}


def _moved(by):
  """A person like that of `_record`, further to the right; no two of them alike."""
  box = np.float64(_BOX) + [0, by, 0, by]
  points = [(y, x + by, v) if v else (y, x, v) for y, x, v in _POINTS]
  return tuple(box), points, 0


_CROWD = ((0.0, 0.0, 1.0, 1.0), ((0.9, 0.9, 2), *_BLANK[1:]), 1)
# None of whom becomes an example.
_UNUSABLE = {
    "no points": (_BOX, _BLANK, 0), "crowd": _CROWD,
    "off the picture": (_BOX, ((1.25, 0.5, 2), (0.5, -0.01, 1), *_BLANK[2:]), 0),
    "box off": ((0.5, 1.25, 0.75, 1.5), _POINTS, 0), "no area": ((0.5, 0.5, 0.5, 0.75), _POINTS, 0)}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
  """32 usable people in 13 pictures of 20, mixed with those who are not."""
  entries = []
  for i in range(14):
    several = [_moved(k / 64) for k in range(1 + i % 4)] if i else []
    entries.append((f"p{i}", _record(f"p{i}", [*list(_UNUSABLE.values())[: i % 3], *several])))
  for name, person in _UNUSABLE.items():
    entries.append((name, _record(name, [person])))
  entries.append(("nobody", _record("nobody", [])))
  return _write(tmp_path_factory.mktemp("people"), entries)


_USABLE = {f"p{i}": 1 + i % 4 for i in range(1, 14)}


@pytest.fixture(scope="module")
def people_read(people):
  return _evaluate(people)


@pytest.fixture(scope="module")
def examples(people):
  return _train(people, 100, place=Place(seed=5))


def test_every_usable_person_once_an_epoch(examples):
  total, got = sum(_USABLE.values()), examples
  for part in (got[:total], got[total : 2 * total]):
    assert collections.Counter(e["id"][0].decode() for e in part) == _USABLE
  assert {e["position"][0, 0] for e in got[:total]} == {0}
  assert not any(e["dropped"].any() for e in got) and (got[0]["quarantined"] == -1).all()
  types = {k: (v.dtype.name, v.shape[1:]) for k, v in got[0].items() if k not in ("id", "others")}
  assert types == {
      "image": ("uint8", (*_CROP, 3)), "points": ("float32", (4, 3)),
      "position": ("int64", (3,)), "dropped": ("int64", (reasons.COUNT,)),
      "quarantined": ("int64", (4,))}


def test_what_evaluation_sees(people, people_read):
  got = people_read
  assert len(got) == people.records == 20
  p5 = got["p5"]  # a person without points, a crowd, two people
  assert p5["image"].shape == (1, 24, 32, 3) and p5["size"].tolist() == [[24, 32]]
  assert p5["crowd"].tolist() == [[False, True, False, False]]
  np.testing.assert_allclose(p5["boxes"][0, 2], [6, 4, 18, 16])
  np.testing.assert_allclose(
      p5["points"][0, 3], [[6, 8.5, 2], [12, 4.5, 1], [12, 12.5, 2], [0, 0, 0]])
  np.testing.assert_allclose(p5["area"][0, 2], 144)
  assert got["box off"]["dropped_boxes"].tolist() == [1]
  for name in ("nobody", "box off", "no area"):
    assert got[name]["boxes"].shape == (1, 0, 4) and got[name]["points"].shape == (1, 0, 4, 3)


def _places(region, crop):
  top, left, bottom, right = map(float, region)
  rows = top + (np.arange(crop[0]) + 0.5) * (bottom - top) / crop[0]
  columns = left + (np.arange(crop[1]) + 0.5) * (right - left) / crop[1]
  return rows, columns


def _linear(places, size):
  """Weights `[places, size + 2]` of the pixels and one of grey before and after them."""
  centres = np.arange(-1, size + 1) + 0.5
  return np.maximum(0, 1 - np.abs(places[:, None] - centres))


def numpy_crop(image, region, crop):
  """Bilinear samples on grey 128 as products with plain weights."""
  rows, columns = _places(region, crop)
  framed = np.pad(image - 128.0, ((1, 1), (1, 1), (0, 0)))
  wide, high = _linear(columns, image.shape[1]), _linear(rows, image.shape[0])
  return 128 + np.tensordot(np.tensordot(high, framed, 1), wide, ([1], [1])).transpose(0, 2, 1)


def _region_of(example, points, box, crop, mirrored_names):
  """Factor and mirroring, found from points alone: those of the picture that the crop shows."""
  centre, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
  high = max(sides[0], sides[1] * crop[0] / crop[1])
  whole = np.float64([high, high * crop[1] / crop[0]])
  seen = example["points"][0]
  for mirror in (False, True):
    there = points[mirrored_names] if mirror else points
    both = (seen[:, 2] > 0) & (there[:, 2] > 0)
    away = (there[both, 0] - centre[0]).astype(np.float64)
    measured = seen[both, 0] - crop[0] / 2
    k = np.abs(away).argmax()
    factor = away[k] * crop[0] / (measured[k] * whole[0])
    half = whole * factor / 2
    region = np.concatenate([centre - half, centre + half])
    x = (there[:, 1] - region[1]) * crop[1] / (region[3] - region[1])
    x = crop[1] - x if mirror else x
    if np.abs(x[both] - seen[both, 1]).max() < 1e-2:
      return region, factor, mirror
  raise AssertionError("neither the points nor their mirror image")


def _check_crops(examples, pictures, crop, points, most_others=30):
  """Pixels and points of every example are those of its own region; (factor, mirrored) of each."""
  found = []
  for e in examples:
    picture = pictures[e["id"][0].decode()]
    usable = [k for k in range(picture["points"].shape[1])
              if picture["points"][0, k, :, 2].any() and not picture["crowd"][0, k]
              and person_is_in(picture, k)]
    index = usable[e["position"][0, 2] % 1024 - 1]  # the place names the next, and 0 after the last
    region, factor, mirror = _region_of(
        e, picture["points"][0, index], picture["boxes"][0, index], crop, points.mirrored)
    want = numpy_crop(picture["image"][0].astype(np.float64), region, crop)
    want = want[:, ::-1] if mirror else want
    off = np.abs(want - e["image"][0])
    assert off.max() <= 1.5 and off.mean() < 0.3
    others = [picture["points"][0, k] for k in range(picture["points"].shape[1])
              if k != index and not picture["crowd"][0, k] and picture["points"][0, k, :, 2].any()]
    expected = [_numpy_points(p, region, mirror, crop, points) for p in others]
    expected = [p for p in expected if p[:, 2].any()][:most_others]
    assert (e["others"][0, ..., 2] > 0).any(-1).sum() == len(expected)
    for got, p in zip(e["others"][0], expected):
      np.testing.assert_allclose(got, p, atol=2e-2)
    np.testing.assert_allclose(
        e["points"][0], _numpy_points(picture["points"][0, index], region, mirror, crop, points),
        atol=2e-2)
    found.append((factor, mirror))
  return found


def person_is_in(picture, k):
  height, width = picture["size"][0]
  y, x, v = picture["points"][0, k].T
  return bool(((v > 0) & (y >= 0) & (y <= height) & (x >= 0) & (x <= width)).any())


def _numpy_points(points, region, mirror, crop, points_schema, margin=64):
  """Where a loop puts them; zeros for what is not there."""
  out = np.zeros((len(points), 3))
  for k in range(len(points)):
    y, x, v = points[points_schema.mirrored[k] if mirror else k]
    y = (y - region[0]) * crop[0] / (region[2] - region[0])
    x = (x - region[1]) * crop[1] / (region[3] - region[1])
    x = crop[1] - x if mirror else x
    near = -margin <= y <= crop[0] + margin and -margin <= x <= crop[1] + margin
    out[k] = (y, x, v) if v and near else 0
  return out


def test_crops_and_points_are_those_of_one_region(examples, people_read):
  found = _check_crops(examples, people_read, _CROP, FOUR)
  factors = np.float64([factor for factor, _ in found])
  assert factors.min() >= 0.999 and factors.max() <= 1.501
  assert np.histogram(factors, 5, (0.999, 1.501))[0].min() >= 8
  assert 30 <= sum(mirror for _, mirror in found) <= 70


def test_a_batch_without_chance_and_with_few_others(people, people_read):
  batch, = _train(
      people, 1, batch=30, mirror=False, enlarge=(1.25, 1.25), most_others=1, shuffle=0)
  assert batch["others"].shape == (30, 1, 4, 3)
  singles = [{key: values[k : k + 1] for key, values in batch.items()} for k in range(30)]
  found = _check_crops(singles, people_read, _CROP, FOUR, most_others=1)
  assert not any(mirror for _, mirror in found)
  np.testing.assert_allclose([factor for factor, _ in found], 1.25, rtol=1e-3)


@pytest.fixture(scope="module")
def mixed(people, tmp_path_factory):
  """Bad records among the good ones of `people`, and cut pictures of nobody usable."""
  cut = files.encoded(2)[:-200]
  entries = [(f"cut {i}", _record(f"cut {i}", some, cut)) for i, some in enumerate(([], [_CROWD]))]
  entries += [(f"bad {r} {i}", x) for r, xs in BAD_RECORDS.items() for i, x in enumerate(xs)]
  for path in people.paths:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature
      entries.append((feature[schema.SOURCE_ID].bytes_list.value[0].decode(), record))
  return _write(tmp_path_factory.mktemp("mixed"), entries)


BAD_RECORDS = {
    "parse_error": [
        b"\xff\xfe\x00", _raw("few", **{"keypoint/y": [0.5] * 3}),
        _raw("many", visibility=[1] * 5), _raw("side", xmax=[0.5, 0.6]),
        _raw("seven", visibility=[0, 7, 0, 0]), _raw("minus", visibility=[-1, 2, 2, 2]),
        _raw("nan", **{"keypoint/y": [_NAN, 0.5, 0.5, 0.5]}),
        _raw("inf", **{"keypoint/x": [0.5, float("inf"), 0.5, 0.5]}),
        schema.encode("no points", files.encoded(1), "jpeg", 24, 32, [], boxes=[_BOX],
                      object_labels=[0])],
    "missing_feature": [b""],
    "unsupported_format": [_record("gif", picture=files.encoded(1, form="GIF"))],
    "too_many_pixels": [_record("bomb", picture=files.jpeg_of_claimed_size(65500, 65500))],
    "decode_error": [_record("cut", picture=files.encoded(2)[:-200])],
    "label_out_of_range": [_record("cat", labels=[1])],
}




def _dropped(rows):
  return {n: int(c) for n, c in zip(reasons.NAMES, rows.sum(0)) if c}


@pytest.fixture(scope="module")
def reader(mixed):
  """Reads with position, count and worker as tensors of one traced graph."""
  triple, scalar = tf.TensorSpec([3], tf.int64), tf.TensorSpec([], tf.int64)

  @tf.function(input_signature=[triple, scalar, scalar, scalar])
  def read(position, count, worker, workers):
    batches = keypoint_batches.train_batches(
        mixed, 1, FOUR, shuffle=4, place=Place(worker, workers, 7, position),
        limits=guarded.Limits(early_after=10**9), crop=_CROP)
    keys = ("id", "image", "points", "position", "dropped", "quarantined")
    batches = batches.map(lambda e: {
        **{k: e[k][0] for k in keys}, "others": tf.reduce_sum(e["others"], [0, 1])})
    return batches.take(count).batch(1000).get_single_element()

  return read


@pytest.fixture(scope="module")
def whole(reader):
  """Two epochs and the start of a third."""
  got = reader((0, 0, 0), 2 * sum(_USABLE.values()) + 3, 0, 1)
  return {key: value.numpy() for key, value in got.items()}


def test_bad_records_are_counted_by_reason(mixed):
  bad = {reason: len(rs) for reason, rs in BAD_RECORDS.items()}
  got = _evaluate(mixed)
  assert _dropped(np.concatenate([e["dropped"] for e in got.values()])) == {
      **bad, "decode_error": 3}
  assert len(got) == 20 and not any(name.startswith(("bad", "cut")) for name in got)


def test_bad_records_of_people_are_counted_in_training(whole):
  """Pictures of nobody usable are not even decoded, and so none of them is bad."""
  bad = {reason: len(rs) for reason, rs in BAD_RECORDS.items()}
  # What is left out after the last person of an epoch counts with the first of the next.
  sums = _dropped(whole["dropped"])
  assert set(sums) == set(bad) and all(2 * bad[r] <= sums[r] <= 3 * bad[r] for r in bad)
  named = whole["quarantined"][:, 0] >= 0
  np.testing.assert_array_equal(named, whole["dropped"].any(1))
  assert {reasons.NAMES[k] for k in whole["quarantined"][named, 0]} <= set(bad) and named.sum() > 5


def test_a_set_in_which_nobody_is_usable_ends(tmp_path):
  pixels = [((10, 20, 20, 30), ((0.5, 0.5, 2),) * 4, 0), (_BOX, ((12.0, 15.0, 2),) * 4, 0)]
  record_set = _write(tmp_path, [(f"{i}", _record(f"{i}", pixels)) for i in range(6)])
  with pytest.raises(tf.errors.InvalidArgumentError, match="no usable person.*normalised"):
    _train(record_set, 1)


def test_one_usable_person_is_enough(tmp_path):
  entries = [(f"{i}", _record(f"{i}", [_CROWD])) for i in range(12)] + [("a", _record("a"))]
  got = _train(_write(tmp_path, entries, 4), 15)
  assert [e["position"][0, 0] for e in got] == list(range(15))


def test_resuming_is_bit_equal_also_inside_of_a_picture(reader, whole):
  count = len(whole["id"])
  inside = [k for k in range(count - 1) if whole["position"][k, 2] % 1024]
  assert len(inside) > 20
  for used in sorted({*inside[::6], 0, 1, 2, 27, 28, 29, 30, count - 2}):
    rest = reader(whole["position"][used], count - 1 - used, 0, 1)
    for key, values in rest.items():
      np.testing.assert_array_equal(values, whole[key][used + 1 :], err_msg=f"{key} {used}")


def test_two_workers_cover_each_person_once_an_epoch(reader):
  ids = collections.Counter()
  for worker in (0, 1):
    got = reader((0, 0, 0), 60, worker, 2)
    ids.update(i.decode() for i, p in zip(got["id"].numpy(), got["position"].numpy()) if p[0] == 0)
  assert ids == _USABLE


def test_a_person_too_many(tmp_path):
  """Of more than 1024 people in a picture the first 1024 are used, over and over."""
  record = _record("a", [(_BOX, _POINTS, 0)] * 1030)
  record_set = _write(tmp_path, [("a", record)], 1)
  got = _train(record_set, 3, place=Place(position=(0, 0, 1022)), most_others=2)
  assert [tuple(e["position"][0]) for e in got] == [(0, 0, 1023), (0, 0, 1024), (1, 0, 1)]
  assert got[0]["others"].shape == (1, 2, 4, 3)


OTHER = keypoint_schema.KeypointSchema(
    "other", ("top", "right", "left", "foot"), (), (), (0.1,) * 4)


@pytest.mark.parametrize("arguments, message", [
    ({"batch": 0}, "batch_size"), ({"crop": (1, 26)}, "1 x 26"), ({"most_others": -1}, "-1"),
    ({"enlarge": (1.5, 1.0)}, "1.5"), ({"enlarge": (0.0, 1.0)}, "0.0"),
    ({"enlarge": (_NAN, 1.0)}, "nan")])
def test_bad_arguments(people, arguments, message):
  with pytest.raises(errors.ConfigError, match=message):
    _train(people, 1, **arguments)


def test_records_with_other_keypoints_are_refused(people, tmp_path):
  for read in (lambda s, p: _train(s, 1, points=p), _evaluate):
    with pytest.raises(errors.DataError, match="top, left, right, foot.*top, right, left, foot"):
      read(people, OTHER)
    for n, metadata in enumerate([{}, {"keypoints": 17}, {"keypoints": {"names": None}}]):
      folder = tmp_path / f"{n}"
      with Writer(folder, "train", 1, metadata, overwrite=True) as writer:
        writer.write("a", _record("a"))
      with pytest.raises(errors.DataError, match="without keypoints"):
        read(writer.record_set, FOUR)


@pytest.fixture(scope="module")
def photos(shared_data, tmp_path_factory):
  """COCO's four pictures, with points of ours half a pixel from COCO's."""
  folder = shared_data / "detection" / "mmpose_kp" / "coco"
  content = json.loads((folder / "test_coco.json").read_text())
  entries = []
  for picture in content["images"]:
    size = np.float64([picture["height"], picture["width"]])
    people = [a for a in content["annotations"] if a["image_id"] == picture["id"]]
    boxes, points = [], []
    for person in people:
      x, y, w, h = person["bbox"]
      boxes.append(np.float64([y, x, y + h, x + w]) / np.tile(size, 2))
      x, y, v = np.float64(person["keypoints"]).reshape(-1, 3).T
      points.append(np.stack([(y + 0.5) / size[0], (x + 0.5) / size[1], v], 1) * (v > 0)[:, None])
    name = str(picture["id"])
    entries.append((name, schema.encode(
        name, (folder / picture["file_name"]).read_bytes(), "jpeg", *map(int, size), [],
        boxes=boxes, object_labels=[0] * len(boxes), keypoints=points,
        crowd=[p["iscrowd"] for p in people], area=[p["area"] for p in people])))
  return _write(tmp_path_factory.mktemp("photos"), entries, 1, keypoint_schema.read("coco"))


def test_real_people(photos):
  coco = keypoint_schema.read("coco")
  pictures = _evaluate(photos, coco)
  people = sum(int((p["points"][0, ..., 2] > 0).any(-1).sum()) for p in pictures.values())
  crop = (person_crops.HEIGHT, person_crops.WIDTH)
  got = _train(photos, people, points=coco, crop=crop, place=Place(seed=1))
  assert collections.Counter(e["position"][0, 0] for e in got) == {0: people}
  found = _check_crops(got, pictures, crop, coco)
  assert {mirror for _, mirror in found} == {False, True}
