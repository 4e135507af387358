"""Annotations in COCO's format become records with the same boxes, or an error that names them."""

from __future__ import annotations

import collections
import json
import re

import numpy as np
import pytest

from jft_reps.apps import build_records, command_line
from jft_reps.data.records import label_map, writing
from jft_reps.data.sources.coco import annotations as coco
from tests.data import box_files
from tests.data import picture_files as files


def _run(tmp_path, content, *more, names=("1.jpg", "2.jpg")):
  """(exit code, folder of the records) of a build of one annotation file."""
  folder = box_files.pictures(tmp_path / "in", names)
  path = box_files.write_coco(tmp_path, content)
  out = tmp_path / "out"
  code = command_line.run(build_records.main, [
      "build_records", "--source=coco", f"--input={folder}", f"--annotations={path}",
      f"--output={out}", "--shards=2", "--processes=1", *more])
  return code, out


def test_records_hold_boxes_flags_areas_and_classes_in_order_of_category_id(tmp_path, capsys):
  code, out = _run(tmp_path, box_files.coco())
  said = capsys.readouterr().out
  assert code == 0 and "2 pictures in 2 shards" in said
  assert "2 boxes, 0 of them clipped to their pictures; boxes left out: none; 1 picture" in said
  record_set = writing.load(out, "train", full=True)
  assert label_map.labels_of(record_set) == ("dog", "cat")
  about = record_set.metadata
  assert about["category_ids"] == [3, 7]
  assert (about["annotations"], about["exif"], about["boxes"]) == ("boxes", "ignored", 2)
  got = box_files.stored(record_set)
  np.testing.assert_allclose(
      got["1"]["boxes"], [(4 / 40, 10 / 50, 12 / 40, 30 / 50), (0, 0, 1, 1)], atol=1e-7)
  assert got["1"]["labels"] == [1, 0] and got["1"]["class"] == [1, 0]
  assert got["1"]["crowd"] == [0, 1] and got["1"]["difficult"] == [0, 0]
  assert got["1"]["area"] == [99.5, 2000.0]
  assert got["2"]["boxes"] == [] and got["2"]["labels"] == [] and got["2"]["class"] == []
  assert got["1"]["encoded"] == files.encoded(0, 40, 50)


def test_every_box_of_coco128(shared_data, tmp_path, capsys):
  folder = shared_data / "detection" / "coco128"
  path = folder / "annotations" / "instances_train2017.json"
  assert command_line.run(build_records.main, [
      "build_records", "--source=coco", f"--input={folder / 'train2017'}",
      f"--annotations={path}", f"--output={tmp_path}", "--shards=4", "--processes=1"]) == 0
  assert "939 boxes" in capsys.readouterr().out
  content = json.loads(path.read_text())
  want = collections.defaultdict(list)
  for one in content["annotations"]:
    want[one["image_id"]].append(one)
  record_set = writing.load(tmp_path, "train")
  ids, got = record_set.metadata["category_ids"], box_files.stored(record_set)
  assert sum(len(g["boxes"]) for g in got.values()) == 939
  assert sum(not g["boxes"] for g in got.values()) == 2
  assert sum(sum(g["crowd"]) for g in got.values()) == 10
  for image in content["images"]:
    mine, theirs = got[str(image["id"])], want[image["id"]]
    h, w = image["height"], image["width"]
    assert mine["size"] == (h, w)
    assert [ids[i] for i in mine["labels"]] == [one["category_id"] for one in theirs]
    assert mine["crowd"] == [one["iscrowd"] for one in theirs]
    np.testing.assert_allclose(mine["area"], [one["area"] for one in theirs], rtol=1e-6)
    y0, x0, y1, x1 = np.reshape(mine["boxes"], (-1, 4)).T * np.array([[h], [w], [h], [w]])
    np.testing.assert_allclose(
        np.stack([x0, y0, x1 - x0, y1 - y0], 1),
        np.reshape([one["bbox"] for one in theirs], (-1, 4)), atol=2e-3)


def _changed(key, **entry):
  """The good file with one more entry, or the last one changed."""
  content = box_files.coco()
  last = {**content[key][-1], **entry}
  content[key][-1] = {k: v for k, v in last.items() if v != "DROP"}
  return content


def _added(key, **entry):
  content = box_files.coco()
  content[key].append({**content[key][-1], **entry})
  return content


_GOOD = json.dumps(box_files.coco())


@pytest.mark.parametrize("content, message", [
    (_GOOD[:-40], r"a.json: .*line 1 column \d+ \(char \d+\)"),
    ("[]", "a.json: a list; expected an object with images and categories"),
    ("[" * 200_000, "a.json: "),
    (_GOOD.replace('"iscrowd": 0', '"iscrowd": 0, "iscrowd": 1'), "'iscrowd' is given twice"),
    ({**box_files.coco(), "images": "x"}, "images is a str"),
    (box_files.coco(categories=[]), "no category"),
    ({"images": [], "annotations": []}, "no categories"),
    ({"categories": [], "annotations": []}, "no category|no images"),
    (_added("annotations", id=11), "annotation 11: the id is given twice"),
    (_added("images", id=2), "image 2: the id is given twice"),
    (_added("categories", name="cow"), "category 3: the id is given twice"),
    (_added("categories", id=9, name="cat"), "category 9: name 'cat', which category 7 has"),
    (_changed("categories", name=""), "category 3: name ''"),
    (_changed("categories", name="a\nb"), "category 3: name"),
    (_changed("annotations", id="DROP"), r"annotations\[1\]: id 'None'"),
    (_changed("annotations", id="12"), r"annotations\[1\]: id '12'"),
    (_changed("annotations", image_id=3), "annotation 12: image_id '3'; expected the id of an"),
    (_changed("annotations", image_id="1"), "annotation 12: image_id '1'"),
    (_changed("annotations", image_id=[1]), "annotation 12: image_id"),
    (_changed("annotations", category_id=8), "annotation 12: category_id '8'; expected one of the"),
    (_changed("annotations", category_id={}), "annotation 12: category_id"),
    (_changed("annotations", bbox="DROP"), "annotation 12: no bbox"),
    (_changed("annotations", image_id="DROP"), "annotation 12: no image_id"),
    (_changed("annotations", bbox=[1, 2, 3]), r"annotation 12: bbox \[1, 2, 3\]"),
    (_changed("annotations", bbox=[1, 2, 3, 4, 5]), "annotation 12: bbox"),
    (_changed("annotations", bbox=["1", 2, 3, 4]), "annotation 12: bbox"),
    (_changed("annotations", bbox=[1, 2, True, 4]), "annotation 12: bbox"),
    (_changed("annotations", bbox=[1, 2, float("nan"), 4]), "annotation 12: bbox"),
    (_changed("annotations", bbox=[1, 2, float("inf"), 4]), "annotation 12: bbox"),
    (_changed("annotations", bbox=[1, 2, 10**400, 4]), "annotation 12: bbox"),
    (_changed("annotations", bbox={"x": 1}), "annotation 12: bbox"),
    (_changed("annotations", area=float("nan")), "annotation 12: area nan"),
    (_changed("annotations", area=-1), "annotation 12: area -1"),
    (_changed("annotations", iscrowd=2), "annotation 12: iscrowd '2'"),
    (_changed("images", file_name="../secret.jpg"), "path '../secret.jpg' leaves the folder"),
    (_changed("images", file_name="/etc/passwd"), "image 2: path '/etc/passwd' leaves the folder"),
    (_changed("images", file_name="DROP"), "image 2: file_name 'None'"),
    (_changed("images", file_name=7), "image 2: file_name '7'"),
    (_changed("images", height=-5), r"image 2: height and width \(-5, 50\)"),
    (_changed("images", height="DROP"), r"image 2: height and width \(None, 50\)"),
])
def test_what_is_wrong_is_one_line_that_names_it(tmp_path, capsys, content, message):
  code, out = _run(tmp_path, content)
  assert code == 2
  [line] = [x for x in capsys.readouterr().err.splitlines() if "error[" in x]
  assert re.search(message, line), line
  assert not (out / "manifest-train.json").exists()


@pytest.mark.parametrize("drop", [["annotations"], ["info", "licenses"]])
def test_keys_that_may_be_missing(tmp_path, drop):
  content = {k: v for k, v in box_files.coco().items() if k not in drop}
  for image in content["images"]:
    del image["height"], image["width"]
  for one in content.get("annotations", []):
    del one["area"], one["iscrowd"], one["segmentation"]
  code, out = _run(tmp_path, content)
  assert code == 0
  got = box_files.stored(writing.load(out, "train"))
  assert [len(got[i]["boxes"]) for i in "12"] == [0 if "annotations" in drop else 2, 0]
  if "annotations" not in drop:
    assert got["1"]["area"] == [160.0, 2000.0] and got["1"]["crowd"] == [0, 0]


def test_boxes_are_clipped_or_dropped_and_counted(tmp_path, capsys):
  boxes = [[-5, -5, 15, 15], [45, 30, 10, 20], [0, 0, 50, 40.0000001], [60, 10, 5, 5],
           [10, 10, 0, 5], [10, 10, 5, -3], *[[i, i, 9, 9] for i in range(60)]]
  boxes[6:] = [b for b in boxes[6:] if b[0] <= 30]
  boxes += [[1, 1, 5, 5]] * 100
  annotations = [{"id": i, "image_id": 1, "category_id": 3, "bbox": b} for i, b in enumerate(boxes)]
  code, out = _run(tmp_path, box_files.coco(annotations=annotations))
  said = capsys.readouterr().out
  assert code == 0
  assert "; boxes left out: no_area 2, outside 1; 1 pictures without a box" in said
  got = box_files.stored(writing.load(out, "train"))["1"]
  np.testing.assert_allclose(got["boxes"][0], (0, 0, 10 / 40, 10 / 50), atol=1e-7)
  np.testing.assert_allclose(got["boxes"][1], (30 / 40, 45 / 50, 1, 1), atol=1e-7)
  assert got["boxes"][2] == (0, 0, 1, 1)
  about = writing.load(out, "train").metadata
  beyond = sum(b[0] + 9 > 50 or b[1] + 9 > 40 for b in boxes[6:37])
  assert about["clipped_boxes"] == 2 + beyond and about["boxes"] == len(boxes) - 3
  assert about["dropped_boxes"] == {"no_area": 2, "outside": 1}


@pytest.mark.parametrize("box", [[0.1, 0.2, 0.5, 0.4], [10, 10, 0, 0], [900, 900, 30, 30]])
def test_coordinates_that_are_no_pixels_are_asked_about(tmp_path, capsys, box):
  annotations = [{"id": i, "image_id": 1, "category_id": 3, "bbox": box} for i in range(3)]
  code, out = _run(tmp_path, box_files.coco(annotations=annotations))
  assert code == 2
  assert "3 of 3 boxes are degenerate" in (line := capsys.readouterr().err)
  assert "Are these pixel coordinates?" in line
  assert not (out / "manifest-train.json").exists()


def test_pictures_that_are_missing_or_of_another_size_are_listed(tmp_path, capsys):
  content = box_files.coco(images=4)
  content["images"][1]["height"] = 41
  code, out = _run(tmp_path, content, names=("1.jpg", "2.jpg", "4.jpg"))
  assert code == 0
  assert "left out: missing_file 1, size_mismatch 1" in capsys.readouterr().out
  listed = (out / "quarantine-train.tsv").read_text().splitlines()
  assert sorted(line.rpartition("\t")[0] for line in listed) == [
      "2\tsize_mismatch", "3\tmissing_file"]


def test_boxes_refer_to_the_stored_pixels_whatever_exif_says(tmp_path):
  from PIL import Image

  exif = Image.Exif()
  exif[0x0112] = 6
  folder = box_files.pictures(tmp_path / "in", ["2.jpg"])
  Image.fromarray(files.pixels(1, 40, 50)).save(folder / "1.jpg", exif=exif)
  stored = (folder / "1.jpg").read_bytes()
  path = box_files.write_coco(tmp_path, box_files.coco())
  command_line.run(build_records.main, [
      "build_records", "--source=coco", f"--input={folder}", f"--annotations={path}",
      f"--output={tmp_path / 'out'}", "--shards=1", "--processes=1"])
  got = box_files.stored(writing.load(tmp_path / "out", "train"))["1"]
  assert got["encoded"] == stored and got["size"] == (40, 50)


def test_resizing_is_refused(tmp_path, capsys):
  assert _run(tmp_path, box_files.coco(), "--store_size=20")[0] == 1
  assert "store_size 20 with boxes" in capsys.readouterr().err


@pytest.mark.parametrize("flag, lines, ids", [
    ("keep_ids", "# minival\n3\n\n1\n", "13"), ("leave_out_ids", "3\n1\n99\n", "24")])
def test_lists_of_ids(tmp_path, flag, lines, ids):
  (tmp_path / "ids.txt").write_text(lines)
  names = [f"{i}.jpg" for i in range(1, 5)]
  code, out = _run(
      tmp_path, box_files.coco(images=4), f"--{flag}={tmp_path / 'ids.txt'}", names=names)
  assert code == 0
  assert sorted(box_files.stored(writing.load(out, "train"))) == list(ids)


@pytest.mark.parametrize("flag, lines, message", [
    ("keep_ids", "1\nx\n", "ids.txt:2: 'x'"), ("keep_ids", "1\n2 3\n", "ids.txt:2: '2 3'"),
    ("keep_ids", "1\n1\n", "ids.txt:2: id 1, which is on line 1"), ("keep_ids", "\n", "no id"),
    ("keep_ids", "1\n\n99\n", "ids.txt:3: 1 of 2 ids are no image, the first is 99"),
    ("keep_ids", "-1\n", "ids.txt:1: '-1'"), ("leave_out_ids", "99\n", "none of 1 ids"),
    ("leave_out_ids", "1\n2\n", "no image is left"), ("keep_ids", None, "ids.txt: ")])
def test_bad_lists_of_ids(tmp_path, capsys, flag, lines, message):
  if lines is not None:
    (tmp_path / "ids.txt").write_text(lines)
  assert _run(tmp_path, box_files.coco(), f"--{flag}={tmp_path / 'ids.txt'}")[0] == 2
  assert message in capsys.readouterr().err


def test_two_files_make_one_set_with_a_list_for_both(tmp_path):
  one, two = box_files.coco(), box_files.coco(annotations=[])
  for image in two["images"]:
    image["id"] += 10
  paths = [box_files.write_coco(tmp_path, c, f"{i}.json") for i, c in enumerate((one, two))]
  folder = box_files.pictures(tmp_path / "in", ["1.jpg", "2.jpg"])
  (tmp_path / "ids").write_text("12\n")
  opened = coco.open_set(paths, [folder], leave_out=tmp_path / "ids")
  assert [s.picture_id for s in opened.read()] == ["1", "2", "11"]
  two["categories"][0]["name"] = "cow"
  box_files.write_coco(tmp_path, two, "1.json")
  with pytest.raises(Exception, match="1.json: other categories than in the first file"):
    coco.open_set(paths, [folder])
  box_files.write_coco(tmp_path, one, "1.json")
  with pytest.raises(Exception, match="image 1: the id is in .*0.json already"):
    coco.open_set(paths, [folder])
