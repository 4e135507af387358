"""Records built from a set that TFDS prepared here hold its bytes, class names and ids."""

from __future__ import annotations

import io
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.apps import build_records, command_line
from jft_reps.data.building import build
from jft_reps.data.reading import label_batches
from jft_reps.data.records import label_map, schema, writing
from jft_reps.data.sources.tfds import sets
from tests.data import picture_files as files
from tests.data.sources.tfds import tfds_made

_NAMES = ["zebra", "ant", "cat"]  # not sorted: the set's own order counts


def _bytes(i):
  return files.encoded(i, 30 + i, 40, form="PNG" if i % 4 == 3 else "JPEG")


def _singles(count):
  return [{"image": io.BytesIO(_bytes(i)), "label": i % 3 % 2, "file_name": f"{i}.jpg"}
          for i in range(count)]


def _tagged():
  """One picture without objects, one with a class twice, one once and one verified as absent."""
  objects = [(0, 10), (0, 3), (2, 7), (1, 0)]
  return [
      {"photo": io.BytesIO(_bytes(i)), "mask": np.zeros((30, 40, 1), np.uint8),
       "objects": [{"label": a, "confidence": b, "source": 0} for a, b in objects[:4 * i]]}
      for i in range(2)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  """`my_set` in two versions and `tagged` in two configs, each with its own traits."""
  import tensorflow_datasets as tfds

  root = tmp_path_factory.mktemp("tfds")
  single = {"image": tfds.features.Image(), "file_name": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=_NAMES)}
  tfds_made.prepare(root, "my_set", single, {"train": _singles(2)}, "1.9.0")
  unlabelled = [{**example, "label": -1} for example in _singles(2)]
  tfds_made.prepare(root, "my_set", single, {"train": _singles(10), "test": unlabelled}, "1.10.0",
                    shards=2)
  tagged = {"photo": tfds.features.Image(), "mask": tfds.features.LabeledImage(labels=2),
            "objects": tfds.features.Sequence({
                "label": tfds.features.ClassLabel(names=_NAMES), "confidence": np.int32,
                "source": tfds.features.ClassLabel(names=["hand", "model"])})}
  for config in ("small", "large"):
    tfds_made.prepare(root, "tagged", tagged, {"train": _tagged()}, config=config)
  return root


def _stored(record_set):
  out = {}
  for path in record_set.paths:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature
      out[feature[schema.SOURCE_ID].bytes_list.value[0].decode()] = (
          feature[schema.ENCODED].bytes_list.value[0],
          list(feature[schema.LABEL].int64_list.value),
          np.round(list(feature[schema.CONFIDENCE].float_list.value), 5).tolist())
  return out


def _run(data_dir, out, *more, source="tfds:my_set"):
  return command_line.run(build_records.main, [
      "build_records", f"--source={source}", f"--input={data_dir}", f"--output={out}",
      "--shards=2", "--processes=1", *more])


@pytest.mark.parametrize("processes", ["1", "2"])
def test_records_hold_the_sets_bytes_labels_and_ids(data_dir, tmp_path, capsys, processes):
  more = ["--tfds_id=file_name", f"--processes={processes}"]
  assert _run(data_dir, tmp_path / "out", *more) == 0
  out, err = capsys.readouterr()
  assert "10 pictures in 2 shards" in out and "3 classes" in out
  assert "deprecated" not in err
  record_set = writing.load(tmp_path / "out", "train", full=True)
  assert _stored(record_set) == {f"{i}.jpg": (_bytes(i), [i % 3 % 2], []) for i in range(10)}
  assert label_map.labels_of(record_set) == tuple(_NAMES)
  assert record_set.metadata["source"] == "tfds:my_set:1.10.0"
  [batch] = label_batches.eval_batches(record_set, 10, num_classes=3).as_numpy_iterator()
  assert batch["image"].shape == (10, 299, 299, 3)


def test_slices_share_no_picture_and_together_are_the_split(data_dir):
  parts = [list(sets.open_split("my_set", data_dir, split).read())
           for split in ("train[:70%]", "train[70%:]", "train")]
  ids = [[source.picture_id for source in part] for part in parts]
  assert [len(part) for part in ids] == [7, 3, 10]
  assert ids[0] + ids[1] == ids[2] and len(set(ids[2])) == 10
  assert ids[2][0] == "my_set-train.tfrecord-00000-of-00002__0"


def test_newest_version_by_number_or_the_one_asked_for(data_dir):
  assert sets.open_split("my_set", data_dir).name == "my_set:1.10.0"
  assert sets.open_split("my_set:1.9.0", data_dir).name == "my_set:1.9.0"


def test_object_labels_are_merged_and_absent_ones_kept_apart(data_dir, tmp_path):
  opened = sets.open_split("tagged/small", data_dir)
  assert opened.labels == tuple(_NAMES)
  assert sorted(s.absent for s in opened.read()) == [(), ("ant",)]
  summary = build.build(opened.read, tmp_path, "train", 1, opened.labels)
  assert sorted(_stored(summary.record_set).values(), key=lambda s: len(s[1])) == [
      (_bytes(0), [], []), (_bytes(1), [0, 2], [1.0, 0.7])]


def test_another_label_feature_can_be_named(data_dir):
  opened = sets.open_split("tagged/large:1.0.0", data_dir, label="objects/source")
  assert opened.labels == ("hand", "model")
  assert sorted(s.labels for s in opened.read()) == [(), ("hand",)]


def test_reading_is_lazy(data_dir, tmp_path):
  copy = shutil.copytree(data_dir / "my_set" / "1.10.0", tmp_path / "my_set" / "1.10.0")
  os.remove(copy / "my_set-train.tfrecord-00001-of-00002")
  stream = sets.open_split("my_set", tmp_path, "train").read()
  assert next(stream).data is not None
  with pytest.raises(errors.DataError, match=r"tfds:my_set:1.10.0 train: .*00001-of-00002"):
    list(stream)


@pytest.mark.parametrize("source, more, message", [
    ("tfds:mnist", [], "mnist is not prepared there, but my_set:1.9.0, my_set:1.10.0, tagged/larg"),
    ("tfds:mnist", [], "t.builder('mnist', data_dir='{dir}').download_and_prepare()"),
    ("tfds:my_set:2.0.0", [], "my_set:2.0.0 is not prepared there, but my_set:1.9.0, my_set:1.10"),
    ("tfds:my_set", ["--input=/no/where"], "/no/where: no such folder; expected my_set/VERSION"),
    ("tfds:tagged", [], "several configs of tagged: tagged/large:1.0.0, tagged/small:1.0.0"),
    ("tfds:tagged/huge", [], "t.builder('tagged/huge'"),
    ("tfds:kaggle:my_set", [], "no name of a data set"),
    ("tfds:/tmp/my_set.py", [], "Scripts and community namespaces are not run"),
    ("tfds:../my_set", [], "no name of a data set"),
    ("tfds:my_set/..", [], "no name of a data set"),
    ("tfds:my_set", ["--tfds_split=val"], "Unknown split 'val'"),
    ("tfds:my_set", ["--tfds_split=train[:x]"], "expected --tfds_split of test, train, or a"),
    ("tfds:my_set", ["--tfds_split=test"], "label -1; expected a class from 0 to 2"),
    ("tfds:my_set", ["--split=test"], "label -1; expected a class from 0 to 2"),
    ("tfds:my_set", ["--tfds_label=class"], "no label feature class; expected one of label"),
    ("tfds:my_set", ["--tfds_id=name"], "no id feature name; expected one of tfds_id, file_name"),
    ("imagenet22k", [], "mlimages_records, coco, coco_keypoints, coco_masks, masks, voc_masks"),
])
def test_what_is_wrong_is_one_line(data_dir, tmp_path, capsys, source, more, message):
  assert _run(data_dir, tmp_path / "out", *more, source=source) in (1, 2)
  [line] = capsys.readouterr().err.splitlines()
  assert message.replace("{dir}", str(data_dir)) in line
  assert not (tmp_path / "out" / "manifest-train.json").exists()


@pytest.mark.parametrize("key", ["pythonClassName", "python_class_name", "type"])
def test_features_never_import_code_beside_the_data(
    data_dir, tmp_path, capsys, monkeypatch, key):
  copy = shutil.copytree(data_dir / "my_set" / "1.9.0", tmp_path / "my_set" / "1.9.0")
  (tmp_path / "evil.py").write_text("open('ran', 'w').close()")
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(str(tmp_path))
  features = json.loads((copy / "features.json").read_text())
  label = features["featuresDict"]["features"]["label"]
  label.pop("pythonClassName")
  label[key] = "evil.ClassLabel"
  (copy / "features.json").write_text(json.dumps(features))
  assert _run(tmp_path, tmp_path / "out") == 2
  assert "a feature of class evil.ClassLabel" in capsys.readouterr().err
  assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("file, text", [
    ("features.json", "{"), ("features.json", "[" * 100_000), ("dataset_info.json", "no json"),
    ("dataset_info.json", None), ("label.labels.txt", "ant\nant\nant\n"),
    ("label.labels.txt", "zebra\nant\n")])
def test_broken_metadata_is_an_error(data_dir, tmp_path, capsys, file, text):
  copy = shutil.copytree(data_dir / "my_set" / "1.9.0", tmp_path / "my_set" / "1.9.0")
  (copy / file).unlink()
  if text is not None:
    (copy / file).write_text(text)
  assert _run(tmp_path, tmp_path / "out") == 2
  [line] = capsys.readouterr().err.splitlines()
  assert "error[tfds-" in line
