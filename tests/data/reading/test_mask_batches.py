"""Pictures with masks from records: what fits comes through, the rest is counted by reason."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.reading import guarded, mask_batches
from jft_reps.data.records import reasons, schema
from jft_reps.data.records.writing import Writer
from jft_reps.ops.masked_pictures import VOID, TrainingPicture
from jft_reps.task import Place
from jft_reps.toy_world.records import write_records
from jft_reps.toy_world.world import ToyWorld
from tests.data import picture_files as files

_SIDE = 17
_PICTURE = TrainingPicture(3, resize=_SIDE)


def _mask(seed, height=24, width=32, classes=3):
  return np.random.default_rng(seed).integers(0, classes, (height, width)).astype(np.uint8)


def _record(name, mask=None, **more):
  mask = files.grey_png(_mask(sum(name.encode()))) if mask is None else mask
  picture = files.encoded(sum(name.encode()), 24, 32)
  return schema.encode(name, picture, "jpeg", 24, 32, [], segmentation=mask, **more)


def _write(directory, entries, shards=2):
  with Writer(directory, "train", shards) as writer:
    writer.metadata["annotations"] = "masks"
    for name, record in entries:
      writer.write(name, record)
  return writer.record_set


def _train(record_set, count, batch_size=4, **arguments):
  batches = mask_batches.train_batches(record_set, batch_size, _PICTURE, shuffle=4, **arguments)
  return list(batches.take(count).as_numpy_iterator())


def _evaluate(record_set, classes=3, **arguments):
  return {e["id"][0].decode(): e for e in mask_batches.eval_batches(
      record_set, classes, **arguments).as_numpy_iterator()}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
  names = [f"p{i}" for i in range(11)]
  return _write(tmp_path_factory.mktemp("good"), [(name, _record(name)) for name in names])


def test_evaluation_gives_every_picture_once_in_its_stored_size(good):
  found = _evaluate(good)
  assert sorted(found) == sorted(f"p{i}" for i in range(11))
  for name, example in found.items():
    assert example["image"].shape == (1, 24, 32, 3)
    np.testing.assert_array_equal(example["mask"][0], _mask(sum(name.encode())))
    stored = tf.io.decode_jpeg(files.encoded(sum(name.encode()), 24, 32)).numpy()
    np.testing.assert_array_equal(example["image"][0], stored)


def test_training_gives_batches_of_one_size_and_every_picture_per_epoch(good):
  batches = _train(good, 11, batch_size=4)
  names = collections.Counter(name for batch in batches for name in batch["id"].tolist())
  assert set(names.values()) == {4} and len(names) == 11
  rows, columns = ((np.arange(_SIDE) + 0.5) * n / _SIDE for n in (24, 32))
  for batch in batches[:3]:
    assert batch["image"].shape == (4, _SIDE, _SIDE, 3)
    for name, mask in zip(batch["id"], batch["mask"]):
      expected = _mask(sum(name))[np.ix_(rows.astype(int), columns.astype(int))]
      np.testing.assert_array_equal(mask, expected)


def test_order_is_a_function_of_the_seed_and_a_run_goes_on_where_it_was(good):
  whole, other = _train(good, 6, place=Place(seed=5)), _train(good, 6, place=Place(seed=6))
  ids = lambda batches: [name for batch in batches for name in batch["id"].tolist()]
  assert ids(whole) == ids(_train(good, 6, place=Place(seed=5))) != ids(other)
  resumed = _train(good, 4, place=Place(seed=5, position=tuple(whole[1]["position"][-1])))
  for a, b in zip(whole[2:], resumed):
    for key in ("id", "image", "mask", "position"):
      np.testing.assert_array_equal(a[key], b[key])


BAD = {
    "missing_feature": schema.encode("none", files.encoded(0), "jpeg", 24, 32, []),
    "bad_mask": _record("cut", files.grey_png(_mask(0))[:70]),
    "size_mismatch": _record("turned", files.grey_png(_mask(0, 32, 24))),
    "label_out_of_range": _record("wide", files.grey_png(_mask(0, classes=9))),
    "decode_error": schema.encode("half", files.encoded(0)[:300], "jpeg", 24, 32, [],
                                  segmentation=files.grey_png(_mask(0)))}
MORE = {"palette": ("bad_mask", files.encoded(0, 24, 32, "P", "PNG")),
        "colours": ("bad_mask", files.encoded(0, 24, 32, "RGB", "PNG")),
        "jpeg": ("bad_mask", files.encoded(0, 24, 32, "L"))}


def test_masks_that_do_not_fit_are_counted_by_reason_and_left_out(tmp_path):
  entries = [(f"good{i}", _record(f"good{i}")) for i in range(4)]
  entries += list(BAD.items()) + [(name, _record(name, mask)) for name, (_, mask) in MORE.items()]
  record_set = _write(tmp_path, entries)
  found = _evaluate(record_set)
  assert sorted(found) == [f"good{i}" for i in range(4)]
  dropped = sum(example["dropped"].sum(0) for example in found.values())
  expected = collections.Counter([*BAD, *(reason for reason, _ in MORE.values())])
  assert {reasons.NAMES[i]: n for i, n in enumerate(dropped) if n} == expected
  trained = _train(record_set, 2, batch_size=2)
  assert all(name.startswith(b"good") for batch in trained for name in batch["id"])


def test_a_set_whose_masks_all_fail_ends_with_the_reasons(tmp_path):
  record_set = _write(tmp_path, [(f"p{i}", _record(f"p{i}", files.grey_png(_mask(0, 32, 24))))
                                 for i in range(6)])
  with pytest.raises(tf.errors.InvalidArgumentError, match=r"\(size_mismatch \d+\)"):
    _train(record_set, 1)


def test_void_everywhere_is_a_picture_like_any_other(tmp_path):
  void = np.full((24, 32), VOID, np.uint8)
  record_set = _write(tmp_path, [("void", _record("void", files.grey_png(void)))], 1)
  batch, = _train(record_set, 1, batch_size=1)
  assert (batch["mask"] == VOID).all() and batch["dropped"].sum() == 0


def test_a_set_without_masks_is_for_evaluation_alone(tmp_path):
  with Writer(tmp_path, "test", 1) as writer:
    writer.metadata["annotations"] = "none"
    writer.write("a", BAD["missing_feature"])
  example, = _evaluate(writer.record_set).values()
  assert (example["mask"] == VOID).all() and example["mask"].shape == (1, 24, 32)
  with pytest.raises(tf.errors.InvalidArgumentError, match="missing_feature"):
    _train(writer.record_set, 1, batch_size=1)


def test_records_of_something_else_are_refused(tmp_path):
  with Writer(tmp_path, "test", 1) as writer:
    writer.metadata["annotations"] = "boxes"
    writer.write("a", BAD["missing_feature"])
  with pytest.raises(errors.DataError, match="annotations boxes; expected masks, or none"):
    mask_batches.eval_batches(writer.record_set, 3)


def test_an_empty_set_is_refused(tmp_path):
  with pytest.raises(errors.DataError, match="no-records"):
    mask_batches.eval_batches(_write(tmp_path, []), 3)


def test_masks_of_the_toy_world_show_what_its_objects_cover(tmp_path):
  world = ToyWorld(seed=1, size=48)
  record_set = write_records(world, tmp_path, "masks_train", 0, 6, 1)
  labels = (tmp_path / "labels.txt").read_text().split("\n")[:-1]
  assert labels == ["background", *world.vocabulary_of("masks_train").ids]
  found = _evaluate(record_set, len(labels), limits=guarded.Limits(0.0, 1))
  for i in range(6):
    picture = world.picture("masks_train", i)
    expected = np.zeros((48, 48), int)
    for thing in picture.objects:
      expected[thing.mask > 0] = 1 + thing.label
    mask = found[picture.id]["mask"][0]
    np.testing.assert_array_equal(mask, expected)
    assert {labels[c] for c in np.unique(mask)} - {"background"} <= {
        world.vocabulary_of("masks_train").ids[c] for c in picture.leaves}
