"""VOC devkits become records with the same boxes, or an error that names file and object."""

from __future__ import annotations

import collections
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from jft_reps.apps import build_records, command_line
from jft_reps.data.records import label_map, writing
from jft_reps.data.sources import voc
from tests.data import box_files


def _run(tmp_path, source, *more):
  out = tmp_path / "out"
  code = command_line.run(build_records.main, [
      "build_records", "--source=voc", f"--input={source}", f"--output={out}", "--shards=2",
      "--processes=1", *more])
  return code, out


def test_edges_are_those_of_the_named_pixels_in_voc_order(tmp_path):
  """Pixel 1 to 50 of 50 is the whole width; decimals and missing sizes and flags are fine."""
  kit = box_files.devkit(tmp_path / "kit", {
      "2008_000001": box_files.voc_xml(
          ("tvmonitor", 1, 1, 50, 40, 1), ("cat", 10.5, "4.25", 20, 12), ("dog", 7, 7, 7, 7, 0)),
      "b": box_files.voc_xml(size=None)})
  code, out = _run(tmp_path, kit)
  assert code == 0
  record_set = writing.load(out, "train", full=True)
  assert label_map.labels_of(record_set) == voc.LABELS and len(voc.LABELS) == 20
  got = box_files.stored(record_set)
  one = got["2008_000001"]
  np.testing.assert_allclose(one["boxes"], [
      (0, 0, 1, 1), (3.25 / 40, 9.5 / 50, 12 / 40, 20 / 50), (6 / 40, 6 / 50, 7 / 40, 7 / 50)],
      atol=1e-7)
  assert [voc.LABELS[i] for i in one["labels"]] == ["tvmonitor", "cat", "dog"]
  assert one["difficult"] == [1, 0, 0] and one["crowd"] == [0, 0, 0]
  np.testing.assert_allclose(one["area"], [2000, 8.75 * 10.5, 1], rtol=1e-6)
  assert got["b"]["boxes"] == []
  assert record_set.metadata["exif"] == "ignored"
  assert "category_ids" not in record_set.metadata


def test_every_box_of_voc100(shared_data, tmp_path, capsys):
  folder = shared_data / "detection" / "voc100"
  code, out = _run(tmp_path, folder)
  assert code == 0
  want, difficult, boxes = collections.Counter(), 0, {}
  for path in sorted((folder / "Annotations").iterdir()):
    things = ElementTree.parse(path).getroot().findall("object")
    want.update(t.findtext("name") for t in things)
    difficult += sum(t.findtext("difficult") == "1" for t in things)
    boxes[path.stem] = [[float(t.findtext(f"bndbox/{k}")) for k in ("ymin", "xmin", "ymax", "xmax")]
                        for t in things]
  assert f"{sum(want.values())} boxes" in capsys.readouterr().out
  record_set = writing.load(out, "train")
  got = box_files.stored(record_set)
  assert want == collections.Counter(
      voc.LABELS[i] for one in got.values() for i in one["labels"])
  assert difficult == sum(sum(one["difficult"]) for one in got.values()) > 0
  assert set(got) == set(boxes)
  for stem, one in got.items():
    pixels = np.array(one["boxes"]) * np.tile(one["size"], 2) + [1, 1, 0, 0]
    np.testing.assert_allclose(pixels, boxes[stem], atol=1e-3)


def test_several_years_by_the_list_of_a_set(tmp_path):
  cat = box_files.voc_xml(("cat", 2, 2, 9, 9))
  one = box_files.devkit(tmp_path / "VOC2007", {"000001": cat, "000002": cat, "000003": cat},
                         trainval="000001\n000003\n", test="000002\n")
  two = box_files.devkit(tmp_path / "VOC2012", {"2008_000001": cat, "2008_000002": cat},
                         trainval="2008_000001  1\n2008_000002 -1\n\n")
  code, out = _run(tmp_path, f"{one},{two}", "--voc_set=trainval")
  assert code == 0
  record_set = writing.load(out, "train")
  assert sorted(box_files.stored(record_set)) == ["000001", "000003", "2008_000001", "2008_000002"]
  assert record_set.metadata["voc_set"] == "trainval"
  assert _run(tmp_path, one, "--split=test")[0] == 0
  assert list(box_files.stored(writing.load(out, "test"))) == ["000002"]


def test_a_pair_of_plain_folders_and_labels_of_ones_own(tmp_path):
  kit = box_files.devkit(tmp_path / "kit", {"a": box_files.voc_xml(("Weld crack", 2, 2, 9, 9))})
  (tmp_path / "labels.txt").write_text("scratch\nWeld crack\n")
  (kit / "JPEGImages").rename(tmp_path / "photos")
  (kit / "Annotations").rename(tmp_path / "xml")
  code, out = _run(tmp_path, tmp_path / "photos", f"--annotations={tmp_path / 'xml'}",
                   f"--labels={tmp_path / 'labels.txt'}")
  assert code == 0
  assert box_files.stored(writing.load(out, "train"))["a"]["labels"] == [1]


def test_boxes_out_of_the_picture_are_clipped_or_dropped_and_counted(tmp_path, capsys):
  boxes = [("cat", -3, -3, 9, 9), ("cat", 60, 5, 70, 9), ("cat", 9, 9, 8, 20)]
  boxes += [("dog", 3, 3, 20, 20)] * 60
  kit = box_files.devkit(tmp_path / "kit", {"a": box_files.voc_xml(*boxes)})
  assert _run(tmp_path, kit)[0] == 0
  assert ("61 boxes, 1 of them clipped to their pictures; boxes left out: no_area 1, outside 1"
          in capsys.readouterr().out)


_CAT = box_files.voc_xml(("cat", 2, 2, 9, 9))


@pytest.mark.parametrize("text, message", [
    ("<annotation>", "a.xml: no element found"),
    ("", "a.xml: no element found"),
    ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "a.xml: a document type"),
    ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "a.xml: a document type"),
    ('<!DOCTYPE a><annotation/>'.encode("utf-16").decode("latin-1"), "a.xml: "),
    (_CAT.replace("cat", ""), "a.xml object 1: name ''"),
    (_CAT.replace("cat", "unicorn"), "a.xml: label 'unicorn'; expected one of the 20 labels"),
    (_CAT.replace("<xmin>2</xmin>", "", 1), "a.xml object 1: no bndbox/xmin"),
    (_CAT.replace("<xmin>2", "<xmin>two", 1), "object 1: bndbox/xmin 'two'; expected a number"),
    (_CAT.replace("<xmin>2", "<xmin>nan", 1), "object 1: bndbox/xmin 'nan'"),
    (_CAT.replace("<xmin>2", "<xmin>1e400", 1), "object 1: bndbox/xmin '1e400'"),
    (box_files.voc_xml(("cat", 2, 2, 9, 9, "maybe")), "object 1: difficult maybe"),
    (_CAT.replace("<width>50", "<width>x"), "a.xml: size/width 'x'"),
])
def test_bad_annotations_are_named(tmp_path, capsys, text, message):
  kit = box_files.devkit(tmp_path / "kit", {"a": _CAT})
  (kit / "Annotations" / "a.xml").write_bytes(text.encode("latin-1"))
  code, out = _run(tmp_path, kit)
  assert code == 2
  assert message in capsys.readouterr().err
  assert not (out / "manifest-train.json").exists()


@pytest.mark.parametrize("lists, more, message", [
    ({"train": "a\nb\na\n"}, [], "train.txt:3: 'a', first on line 1"),
    ({"train": "a\nghost\n"}, [], "train.txt:2: no file"),
    ({"train": "../../secret\n"}, [], "train.txt:1: path '../../secret.xml' leaves the folder"),
    ({"train": "a\n", "cat_train": "a 1\n"}, ["--voc_set=val"], "of val; expected one of train"),
    ({"train": "a\n"}, ["--voc_set=../../../x"], "leaves the folder"),
    ({}, ["--voc_set=train"], "no list of train"),
    ({}, ["--annotations=/no/where"], "/no/where: no such folder"),
])
def test_bad_lists_are_named(tmp_path, capsys, lists, more, message):
  kit = box_files.devkit(tmp_path / "kit", {"a": _CAT, "b": _CAT}, **lists)
  assert _run(tmp_path, kit, *more)[0] == 2
  assert message in capsys.readouterr().err


def test_a_picture_in_two_devkits_is_an_error(tmp_path, capsys):
  one, two = (box_files.devkit(tmp_path / name, {"a": _CAT}) for name in ("one", "two"))
  assert _run(tmp_path, f"{one},{two}")[0] == 2
  assert "one/Annotations/a.xml too" in capsys.readouterr().err


def test_pictures_that_are_missing_or_of_another_size_are_listed(tmp_path):
  kit = box_files.devkit(tmp_path / "kit", {
      "a": _CAT, "b": box_files.voc_xml(size=(50, 40)), "c": _CAT,
      "d": box_files.voc_xml(size=(0, 0))})
  (kit / "JPEGImages" / "c.jpg").unlink()
  code, out = _run(tmp_path, kit)
  assert code == 0
  listed = (out / "quarantine-train.tsv").read_text().splitlines()
  assert sorted(line.rpartition("\t")[0] for line in listed) == [
      "b\tsize_mismatch", "c\tmissing_file"]
