"""build_records makes records of raw sets as they are handed out, and says what it left out."""

from __future__ import annotations

import io
import json
import os
import tarfile

import pytest
import tensorflow as tf

from jft_reps.apps import build_records, command_line
from jft_reps.data.records import label_map, schema, writing
from tests.data import box_files
from tests.data import picture_files as files


def _run(out, source, *more):
  return command_line.run(build_records.main, [
      "build_records", f"--source={source}", f"--output={out}", "--shards=2", "--processes=1",
      *more])


def _stored(out):
  """(record set, {id: (labels by name with confidence, absent names)})."""
  record_set, got = writing.load(out, "train", full=True), {}
  names = label_map.labels_of(record_set)
  for path in record_set.paths:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature
      labels = [names[i] for i in feature[schema.LABEL].int64_list.value]
      confidences = feature[schema.CONFIDENCE].float_list.value or [1.0] * len(labels)
      got[feature[schema.SOURCE_ID].bytes_list.value[0].decode()] = (
          dict(zip(labels, [round(c, 4) for c in confidences])),
          [names[i] for i in feature[schema.ABSENT].int64_list.value])
  return record_set, got


@pytest.fixture
def open_images(tmp_path):
  root = tmp_path / "in"
  (root / "sub").mkdir(parents=True)
  for name in ("a.jpg", "sub/b.jpg", "c.jpg"):
    (root / name).write_bytes(files.encoded(sum(name.encode()), 40, 50))
  head = "ImageID,Source,LabelName,Confidence"
  (tmp_path / "machine.csv").write_text(
      f"{head}\na,machine,/m/cat,0.8\nb,machine,/m/dog,0.7\ngone,machine,/m/dog,0.7\n")
  (tmp_path / "human.csv").write_text(
      f"{head}\na,verification,/m/dog,0\nb,verification,/m/pet,1\na,verification,/m/rock,1\n")
  (tmp_path / "boxes.csv").write_text(
      f"{head},XMin,XMax,YMin,YMax,IsGroupOf\na,xclick,/m/cat,1,0.1,0.6,0.2,0.5,1\n")
  (tmp_path / "tree.json").write_text(json.dumps({"LabelName": "/m/pet", "Subcategory": [
      {"LabelName": "/m/cat"}, {"LabelName": "/m/dog"}]}))
  (tmp_path / "names.csv").write_text(
      "LabelName,DisplayName\n/m/cat,Cat\n/m/dog,Dog\n/m/pet,Pet\n/m/rock,Rock\n")
  return tmp_path


def test_open_images_labels(open_images, capsys):
  folder = open_images
  assert _run(folder / "out", "open_images", f"--input={folder}/in",
              f"--annotations={folder}/machine.csv,{folder}/human.csv",
              f"--hierarchy={folder}/tree.json", "--hierarchy_format=openimages",
              f"--names={folder}/names.csv") == 0
  text = capsys.readouterr().out
  assert "2 pictures in 2 shards" in text
  for counted in ("1 missing pictures", "1 pictures without labels", "2 machine labels",
                  "1 human labels", "1 verified absences", "1 rows of other classes"):
    assert counted in text
  record_set, got = _stored(folder / "out")
  assert got == {"a": ({"/m/cat": 0.8}, ["/m/dog"]), "b": ({"/m/dog": 0.7, "/m/pet": 1.0}, [])}
  assert record_set.metadata["source"] == "open_images"
  assert record_set.metadata["source_counts"]["human_labels"] == 1


def test_open_images_boxes_and_classes_of_a_list_of_names(open_images):
  folder = open_images
  assert _run(folder / "out", "open_images", f"--input={folder}/in",
              f"--annotations={folder}/boxes.csv", f"--names={folder}/names.csv") == 0
  record_set = writing.load(folder / "out", "train")
  assert label_map.labels_of(record_set) == ("/m/cat", "/m/dog", "/m/pet", "/m/rock")
  [stored] = box_files.stored(record_set).values()
  assert (stored["crowd"], stored["labels"]) == ([1], [0])
  assert stored["boxes"] == [pytest.approx((0.2, 0.1, 0.5, 0.6))]


def test_imagenet21k_from_one_archive_of_archives(tmp_path, capsys):
  whole = tarfile.open(tmp_path / "whole.tar", "w")
  for wnid in ("n00000002", "n00000001"):
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
      for i in range(3):
        data = files.encoded(i, 40, 50) if i else b"<html>"
        info = tarfile.TarInfo(f"{wnid}_{i}.JPEG")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    info = tarfile.TarInfo(f"{wnid}.tar")
    info.size = len(inner.getvalue())
    whole.addfile(info, io.BytesIO(inner.getvalue()))
  whole.close()
  assert _run(tmp_path / "out", "imagenet21k", f"--input={tmp_path}/whole.tar") == 0
  text = capsys.readouterr().out
  assert "unsupported_format 2" in text and "2 classes" in text
  assert _stored(tmp_path / "out")[1] == {
      f"n0000000{c}_{i}.JPEG": ({f"n0000000{c}": 1.0}, []) for c in (1, 2) for i in (1, 2)}
  assert sorted(os.listdir(tmp_path)) == ["out", "whole.tar"]


def test_mlimages_lists_count_what_is_missing(shared_data, tmp_path, capsys):
  lines = (shared_data / "multilabel/tencent/train_im_list_tiny.txt").read_text().splitlines()
  names = [line.split("\t")[0] for line in lines]
  (tmp_path / "in").mkdir()
  for name in names[:70]:
    (tmp_path / "in" / name).write_bytes(files.encoded(len(name), 40, 50))
  (tmp_path / "list.txt").write_text("\n".join(lines[:90]) + "\n")
  hierarchy = shared_data / "hierarchies/tencent_mlimages/dictionary_and_semantic_hierarchy.txt"
  assert _run(tmp_path / "out", "mlimages", f"--input={tmp_path}/in",
              f"--annotations={tmp_path}/list.txt", f"--hierarchy={hierarchy}",
              "--hierarchy_format=mlimages") == 0
  text = capsys.readouterr().out
  assert "70 pictures in 2 shards" in text and "11,166 classes" in text
  assert "source: 90 rows, 20 missing pictures" in text


def test_mlimages_records_are_mostly_placeholders(shared_data, tmp_path, capsys):
  hierarchy = shared_data / "hierarchies/tencent_mlimages/dictionary_and_semantic_hierarchy.txt"
  assert _run(tmp_path / "out", "mlimages_records",
              f"--input={shared_data}/multilabel/tencent/tfrecords", f"--hierarchy={hierarchy}",
              "--hierarchy_format=mlimages") == 0
  assert "placeholder 3" in capsys.readouterr().out
  assert _stored(tmp_path / "out")[1] == {"im_0.jpeg": ({"n00004475": 0.9, "n00007846": 0.9}, [])}


@pytest.mark.parametrize("source, more, message", [
    ("open_images", ["--input={tmp}"], "--annotations: missing; expected CSV files"),
    ("open_images", ["--input={tmp}", "--annotations={tmp}/no.csv"], "no.csv: No such file"),
    ("mlimages", ["--input={tmp}", "--annotations=x"], "--hierarchy: missing"),
    ("mlimages", ["--input={tmp}", "--names={tmp}/n.csv"], "--annotations: missing"),
    ("mlimages_records", ["--input={tmp}", "--names={tmp}/n.csv"], "no records"),
    ("imagenet21k", ["--input={tmp}"], "no nXXXXXXXX.tar among 1 files"),
    ("folder", ["--input={tmp}", "--placeholders={tmp}/n.csv"], "n.csv:1: '/m/a,A'")])
def test_what_is_wrong_is_one_line(tmp_path, capsys, source, more, message):
  (tmp_path / "n.csv").write_text("/m/a,A\n")
  more = [flag.replace("{tmp}", str(tmp_path)) for flag in more]
  assert _run(tmp_path / "out", source, *more) in (1, 2)
  [line] = capsys.readouterr().err.splitlines()
  assert message in line
  assert not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out")
