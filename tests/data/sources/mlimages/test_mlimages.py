"""ML-Images' lists and records give the classes that their numbers stand for."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.hierarchy import readers
from jft_reps.data.records import framing
from jft_reps.data.sources.mlimages import lists, records
from tests.data import picture_files as files

_CLASSES = tuple(f"n{i:08}" for i in range(7))


@pytest.fixture(scope="module")
def tree(shared_data):
  return readers.read(
      shared_data / "hierarchies/tencent_mlimages/dictionary_and_semantic_hierarchy.txt",
      "mlimages")


def touched(folder, lines):
  """Makes a file for the picture of each row."""
  for line in lines:
    (folder / line[0].split("/")[-1]).touch()


@pytest.mark.parametrize("name", [
    "train_urls_tiny.txt", "train_im_list_tiny.txt", "image_lists/train_im_list_tiny_2.txt"])
def test_real_lists(shared_data, tree, tmp_path, name):
  path = shared_data / "multilabel/tencent" / name
  lines = [line.split("\t") for line in path.read_text().splitlines()]
  touched(tmp_path, lines)
  got = list(lists.read(tmp_path, [path], tree.ids))
  assert [s.picture_id for s in got] == [line[0].split("/")[-1] for line in lines]
  for source, line in zip(got, lines, strict=True):
    pairs = [cell.split(":") for cell in line[1:]]
    assert dict(zip(source.labels, source.confidences)) == {
        tree.ids[int(index)]: float(confidence) for index, confidence in pairs}
  assert len({s.picture_id for s in got}) == len(lines)


def test_rows_are_not_closed_under_ancestors(shared_data, tree, tmp_path):
  """Why labels are expanded here, though the authors say theirs are."""
  path = shared_data / "multilabel/tencent/train_urls_tiny.txt"
  touched(tmp_path, [line.split("\t") for line in path.read_text().splitlines()])
  open_rows = [s for s in lists.read(tmp_path, [path], tree.ids)
               if set(tree.expand(s.labels)) != set(s.labels)]
  assert len(open_rows) == 65


def test_a_picture_is_found_under_any_of_its_names(tmp_path):
  for name in ("1.jpg", "99_2.jpg", "n01/3.JPEG", "5.jpg"):
    (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "in" / name).write_bytes(files.encoded(1))
  (tmp_path / "list.txt").write_text(
      "https://a.com/4/1.jpg\t0:1\nhttps://a.com/99/2.jpg\t1:0.5\t2\nn01/3.JPEG\t3:0\t4:1.0\n"
      "\r\nhttps://a.com/9/4.jpg?zz=1\t5:0.2\t5:0.9\t5:0.3\nother/5.jpg\n")
  counts = collections.Counter()
  got = list(lists.read(tmp_path / "in", [tmp_path / "list.txt"], _CLASSES, counts))
  assert [s.picture_id for s in got] == ["1.jpg", "99_2.jpg", "n01/3.JPEG", "5.jpg"]
  assert counts == {"rows": 5, "missing_pictures": 1}
  assert [s.path for s in got] == [str(tmp_path / "in" / s.picture_id) for s in got]
  assert [dict(zip(s.labels, s.confidences)) for s in got] == [
      {"n00000000": 1.0}, {"n00000001": 0.5, "n00000002": 1.0}, {"n00000004": 1.0}, {}]


@pytest.mark.parametrize("line, message", [
    ("a.jpg\t7:1", r"list:2: class '7'; expected a whole number below 7"),
    ("a.jpg\t-1:1", "class '-1'"), ("a.jpg\t1_0:1", "class '1_0'"), ("a.jpg\t\u0663:1", "class"),
    ("a.jpg\t" + "9" * 5000 + ":1", "class '999"), ("a.jpg\t1:2", "list:2: '1:2'"),
    ("a.jpg\t1:nan", "'1:nan'"), ("a.jpg\t1:", "'1:'"), ("a.jpg\t1:1:1", "'1:1:1'"),
    ("a.jpg 1:1 2", None), ("\t1:1", "list:2: picture ''"), ("https://a.com/\t1:1", "picture"),
    ("../a.jpg", "path '../a.jpg' leaves the folder"), ("/etc/hostname\t1:1", "leaves the folder"),
    ("https://a.com/../b.jpg", None), ("https://a.com/..\t1:1", None),
    ("..\t1:1", "path '..' leaves the folder"),
    ("x" * 2_000_000, "list:2: more than 1048576 letters")])
def test_bad_lines_are_named(tmp_path, line, message):
  """Where there is no message, the picture is simply not there."""
  (tmp_path / "in").mkdir()
  (tmp_path / "in" / "ok.jpg").touch()
  (tmp_path / "list").write_text(f"ok.jpg\t1:1\n{line}\n", encoding="utf-8")
  stream = lists.read(tmp_path / "in", [tmp_path / "list"], _CLASSES)
  assert next(stream).picture_id == "ok.jpg"
  if message is None:
    assert list(stream) == []
  else:
    with pytest.raises(errors.DataError, match=message):
      list(stream)


def test_a_path_that_exists_outside_of_the_folder_is_refused(tmp_path):
  (tmp_path / "in").mkdir()
  (tmp_path / "secret.jpg").write_bytes(files.encoded(1))
  (tmp_path / "list").write_text("../secret.jpg\t1:1\n")
  with pytest.raises(errors.DataError, match="list:1: path '../secret.jpg' leaves the folder"):
    list(lists.read(tmp_path / "in", [tmp_path / "list"], _CLASSES))
  (tmp_path / "list").write_bytes(b"a\xff.jpg\t1:1\n")
  with pytest.raises(errors.DataError, match="list: byte 1: not UTF-8"):
    list(lists.read(tmp_path / "in", [tmp_path / "list"], _CLASSES))
  with pytest.raises(errors.DataError, match="nothing: no such folder"):
    list(lists.read(tmp_path / "nothing", [tmp_path / "list"], _CLASSES))
  with pytest.raises(errors.DataError, match="none.txt: No such file"):
    list(lists.read(tmp_path / "in", [tmp_path / "none.txt"], _CLASSES))


def test_real_records(shared_data, tree):
  folder = shared_data / "multilabel/tencent/tfrecords"
  got = {s.picture_id: s for s in records.read([folder], tree.ids)}
  labels = {k: {tree.ids.index(a): b for a, b in zip(s.labels, s.confidences)}
            for k, s in got.items()}
  assert labels == {
      "im_2.jpeg": {3: 1.0, 5193: 0.9, 5851: 0.9, 9413: 1.0, 9416: 1.0},
      "im_3.jpeg": {1053: 0.8, 1193: 0.8, 1379: 0.8},
      "im_0.jpeg": {5170: 0.9, 5177: 0.9}, "im_1.jpeg": {1053: 0.8, 1193: 0.8}}
  assert collections.Counter(len(s.data) for s in got.values()) == {14676: 3, 95443: 1}
  with pytest.raises(errors.DataError, match="0.tfrecords record 0: a label of 44664 bytes; expec"):
    list(records.read([folder], tree.ids[:-1]))


def _example(**features):
  feature = {}
  for key, value in features.items():
    feature[key] = tf.train.Feature(
        int64_list=tf.train.Int64List(value=value)) if isinstance(value, list) else (
            tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])))
  example = tf.train.Example(features=tf.train.Features(feature=feature))
  return example.SerializeToString(deterministic=True)


def _records(path, *examples):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for example in examples:
      writer.write(example)
  return path


def _vector(**confidences):
  return np.array([confidences.get(f"c{i}", 0) for i in range(7)], "<f4").tobytes()


def test_label_vectors_and_single_classes(tmp_path):
  path = _records(
      tmp_path / "0.tfrecords", _example(image=b"1", name=b"a", label=_vector(c2=0.7, c6=1)),
      _example(image=b"2", name=b"b\xff", label=[4], width=[3]))
  one, two = records.read([path], _CLASSES)
  assert dict(zip(one.labels, one.confidences)) == {"n00000002": 0.7, "n00000006": 1.0}
  assert (two.labels, two.confidences, two.data) == (("n00000004",), (1.0,), b"2")
  assert (one.picture_id, two.picture_id) == ("a", "b\\xff")


@pytest.mark.parametrize("example, message", [
    (b"\xff\xff", "record 1: no tf.train.Example"),
    (_example(image=b"1", label=[1]), r"record 1: 1 image, 0 name among \['image', 'label'"),
    (_example(name=b"1", label=[1]), "record 1: 0 image"),
    (_example(image=b"1", name=b"a"), "a label of 0 bytes; expected 4 for each of 7 classes"),
    (_example(image=b"1", name=b"a", label=_vector()[:-1]), "a label of 27 bytes"),
    (_example(image=b"1", name=b"a", label=_vector(c1=np.nan)), "confidence outside of 0 and 1"),
    (_example(image=b"1", name=b"a", label=_vector(c1=1.5)), "confidence outside of 0 and 1"),
    (_example(image=b"1", name=b"a", label=[7]), "class 7; expected 0 to 6"),
    (_example(image=b"1", name=b"a", label=[-1]), "class -1"),
    (_example(image=b"1", name=b"a", label=[2**62]), f"class {2**62}")])
def test_bad_records_are_named(tmp_path, example, message):
  good = _example(image=b"1", name=b"a", label=[1])
  path = _records(tmp_path / "0.tfrecords", good, example)
  with pytest.raises(errors.DataError, match=message):
    list(records.read([path], _CLASSES))


def test_damaged_files_are_refused_before_tensorflow_reads_them(tmp_path):
  path = _records(tmp_path / "0.tfrecords", *[_example(image=b"1" * 50, name=b"a", label=[1])] * 2)
  whole = path.read_bytes()
  huge = framing.header(1 << 36) + bytes(64)
  for data, message in ((whole[:-5], "record 1 .*passes the end"), (huge, "passes the end"),
                        (whole[:40] + b"?" + whole[41:], "record 0.*[Cc]orrupt"),
                        (b"\xff\xd8\xff" + bytes(50), "a JPEG picture")):
    path.write_bytes(data)
    with pytest.raises(errors.DataError, match=message):
      list(records.read([path], _CLASSES))
  with pytest.raises(errors.DataError, match="no records"):
    records.files([tmp_path / "none"])
  with pytest.raises(errors.DataError, match="no records"):
    (tmp_path / "empty").mkdir()
    records.files([tmp_path / "empty"])
