"""Folders of masks and outlines in COCO's format become records of the same class per pixel."""

from __future__ import annotations

import collections
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jft_reps import errors
from jft_reps.apps import build_records, command_line
from jft_reps.data.building import build
from jft_reps.data.records import label_map, writing
from jft_reps.data.sources import mask_folders, raw, voc
from jft_reps.data.sources.coco import annotations as coco
from jft_reps.data.sources.coco import outlines
from tests.data import box_files, mask_files
from tests.data import picture_files as files

_CLASSES = ("background", "cat", "dog", "cow")


def _run(tmp_path, *arguments, source="masks"):
  (tmp_path / "classes.txt").write_text("\n".join(_CLASSES))
  labels = [f"--labels={tmp_path / 'classes.txt'}"] if source == "masks" else []
  code = command_line.run(build_records.main, [
      "build_records", f"--source={source}", f"--output={tmp_path / 'out'}", "--shards=1",
      "--processes=1", *labels, *arguments])
  return code, tmp_path / "out"


def test_records_hold_masks_their_classes_and_the_pixels_of_all(tmp_path, capsys):
  masks = {name: mask_files.indices(i) for i, name in enumerate("abc")}
  masks["b"][masks["b"] == 2] = 0
  pictures, folder = mask_files.folders(tmp_path, **masks)
  files_more = pictures / "unmasked.jpg"
  files_more.write_bytes(files.encoded(9, 40, 50))
  code, out = _run(tmp_path, f"--input={pictures}", f"--annotations={folder}")
  said = capsys.readouterr().out
  assert code == 0
  got = mask_files.stored(record_set := writing.load(out, "train", full=True))
  assert sorted(got) == ["a", "b", "c"]
  together = np.stack(list(masks.values()))
  for name, (mask, labels, _) in got.items():
    np.testing.assert_array_equal(mask, masks[name])
    assert labels == sorted(set(masks[name].ravel().tolist()) - {255})
  about = record_set.metadata
  assert label_map.labels_of(record_set) == _CLASSES
  assert (about["annotations"], about["exif"], about["source"]) == ("masks", "ignored", "masks")
  assert about["pixels"] == [int((together == i).sum()) for i in range(4)]
  assert about["void_pixels"] == (together == 255).sum() and about["unused_pictures"] == 1
  assert f"3 masks, {(together == 255).mean():.2%} of pixels void; 1 pictures have no" in said
  assert "3 pictures in 1 shards" in said and "4 classes" in said


def test_bad_masks_are_listed_with_bad_pictures(tmp_path, capsys):
  good = {f"g{i}": mask_files.indices(i) for i in range(4)}
  pictures, folder = mask_files.folders(
      tmp_path, **good, cut=mask_files.png(good["g0"])[:-9], void=np.full((40, 50), 255, np.uint8),
      small=good["g0"][1:], picture=good["g0"])
  (pictures / "picture.jpg").write_bytes(files.encoded(1, 40, 50)[:-60])
  code, out = _run(tmp_path, f"--input={pictures}", f"--annotations={folder}")
  assert code == 0
  listed = (out / "quarantine-train.tsv").read_text().splitlines()
  assert sorted(line.rpartition("\t")[0] for line in listed) == [
      "cut\tbad_mask", "picture\tdecode_error", "small\tsize_mismatch", "void\tvoid_mask"]
  assert sorted(mask_files.stored(writing.load(out, "train"))) == sorted(good)
  assert "bad_mask 1, decode_error 1, size_mismatch 1, void_mask 1" in capsys.readouterr().out


def test_exif_is_ignored_and_resizing_refused(tmp_path, capsys):
  pictures, folder = mask_files.folders(tmp_path, a=mask_files.indices())
  exif = Image.Exif()
  exif[0x0112] = 6
  (pictures / "a.jpg").write_bytes(files.encoded(1, 40, 50, exif=exif))
  arguments = f"--input={pictures}", f"--annotations={folder}"
  assert _run(tmp_path, *arguments)[0] == 0
  assert _run(tmp_path, *arguments, "--store_size=20", "--split=other")[0] == 1
  assert "store_size 20 with masks" in capsys.readouterr().err


def test_classes_leave_room_for_void(tmp_path):
  pictures, folder = mask_files.folders(tmp_path, a=mask_files.indices())
  read = mask_folders.open_set([pictures], [folder]).read
  for labels in (None, [str(i) for i in range(256)]):
    with pytest.raises(errors.ConfigError, match="labels, at most 255"):
      build.build(read, tmp_path / "out", "train", labels=labels, masks=True)


def test_pictures_to_be_predicted_only_have_no_mask(tmp_path, capsys):
  pictures, _ = mask_files.folders(tmp_path, a=mask_files.indices(), b=mask_files.indices())
  code, out = _run(tmp_path, f"--input={pictures}", "--annotations=none")
  assert code == 0 and "no masks" in capsys.readouterr().out
  record_set = writing.load(out, "train")
  assert mask_files.stored(record_set) == {"a": (None, [], b""), "b": (None, [], b"")}
  assert record_set.metadata["annotations"] == "none"
  assert record_set.metadata["exif"] == "ignored"


def _devkit(root, **masks):
  pictures, folder = mask_files.folders(root / "made", **masks)
  kit = root / "VOC2012"
  (kit / "ImageSets" / "Segmentation").mkdir(parents=True)
  pictures.rename(kit / "JPEGImages")
  folder.rename(kit / "SegmentationClass")
  return kit


def test_a_devkit_with_sbd_beside_it(tmp_path):
  """VOC's own mask goes before SBD's; a list of both is taken exactly."""
  own, sbd = mask_files.indices(1), mask_files.indices(2)
  kit = _devkit(tmp_path, p1=own, p2=own, p3=own)
  (kit / "SegmentationClass" / "p3.png").unlink()
  (tmp_path / "sbd" / "cls").mkdir(parents=True)
  for name in ("p2", "p3"):
    (tmp_path / "sbd" / "cls" / f"{name}.mat").write_bytes(mask_files.matlab(sbd))
  (kit / "ImageSets" / "Segmentation" / "train.txt").write_bytes(b"p2\r\n\r\np1\r\n")
  code, out = _run(tmp_path, f"--input={kit}", source="voc_masks")
  got = mask_files.stored(record_set := writing.load(out, "train"))
  assert code == 0 and sorted(got) == ["p1", "p2"]
  assert label_map.labels_of(record_set) == ("background", *voc.LABELS)
  assert record_set.metadata["voc_set"] == "train"
  (tmp_path / "train_aug.txt").write_text(
      "/JPEGImages/p2.jpg /SegmentationClassAug/p2.png\np3.jpg\n")
  arguments = [f"--input={kit}", f"--annotations=SegmentationClass,{tmp_path / 'sbd' / 'cls'}",
               f"--keep_ids={tmp_path / 'train_aug.txt'}", "--split=train_aug"]
  assert _run(tmp_path, *arguments, source="voc_masks")[0] == 0
  got = mask_files.stored(writing.load(out, "train_aug"))
  assert sorted(got) == ["p2", "p3"]
  (tmp_path / "out.txt").write_text("p3\n")
  left = [*arguments[:-1], "--split=left", f"--leave_out_ids={tmp_path / 'out.txt'}"]
  assert _run(tmp_path, *left, source="voc_masks")[0] == 0
  assert sorted(mask_files.stored(writing.load(out, "left"))) == ["p2"]
  np.testing.assert_array_equal(got["p2"][0], own)
  np.testing.assert_array_equal(got["p3"][0], sbd)


def test_the_devkit_says_which_lists_it_has(tmp_path, capsys):
  kit = _devkit(tmp_path, a=mask_files.indices())
  (kit / "ImageSets" / "Segmentation" / "val.txt").write_text("a\n")
  assert _run(tmp_path, f"--input={kit}", "--voc_set=trian", source="voc_masks")[0] == 2
  assert "no list of trian; expected one of val" in capsys.readouterr().err


def test_folders_inside_and_names_with_dots_and_spaces(tmp_path):
  pictures, folder = mask_files.folders(tmp_path)
  for root, ending, data in ((pictures, ".JPG", files.encoded(0, 40, 50)),
                             (folder, ".png", mask_files.png(mask_files.indices()))):
    (root / "in").mkdir()
    for name in ("in/a.v2", "in/b c"):
      (root / f"{name}{ending}").write_bytes(data)
    (root / ".hidden.png").write_bytes(b"x")
  (tmp_path / "list").write_text("\ufeffin/b c\nin/a.v2.jpg\n", encoding="utf-8")
  listed = mask_folders.open_set([pictures], [folder], tmp_path / "list")
  assert [s.picture_id for s in listed.read()] == ["in/b c", "in/a.v2"]
  whole = mask_folders.open_set([pictures], [folder])
  assert [s.picture_id for s in whole.read()] == ["in/a.v2", "in/b c"] and whole.unused == 0


@pytest.mark.parametrize("lines, message", [
    ("a\nmissing\n", r"list:2: 'missing'; expected the name of a picture in "),
    ("a\n\nunmasked\n", r"list:3: no mask of 'unmasked'; expected a .png or .mat of this name in "),
    ("a\nb\na\n", "list:3: 'a', which is on line 1 already"),
    ("a\na.jpg\n", "list:2: 'a', which is on line 1 already"),
    ("../a\n", r"list:1: path '../a' leaves the folder"),
    ("/JPEGImages/c.jpg /SegmentationClassAug/c.png\n", "list:1: path .* leaves the folder"),
    ("a\0b\n", "list:1: 'a.*x00b'"), ("\r\n\n", "list: no name"), ("", "list: no name"),
    (None, "list: .*No such file")])
def test_bad_lists_name_the_line(tmp_path, lines, message):
  pictures, folder = mask_files.folders(
      tmp_path, a=mask_files.indices(), b=mask_files.indices(), unmasked=mask_files.indices())
  (folder / "unmasked.png").unlink()
  if lines is not None:
    (tmp_path / "list").write_bytes(lines.encode())
  with pytest.raises(errors.DataError, match=message):
    mask_folders.open_set([pictures], [folder], tmp_path / "list")


def test_bad_folders(tmp_path):
  pictures, folder = mask_files.folders(tmp_path, a=mask_files.indices())
  opened = lambda: mask_folders.open_set([pictures], [folder])
  with pytest.raises(errors.DataError, match="nowhere: no such folder; expected a folder of masks"):
    mask_folders.open_set([pictures], [tmp_path / "nowhere"])
  (folder / "b.png").write_bytes(b"")
  with pytest.raises(errors.DataError, match=r"b.png: no picture of this name"):
    opened()
  (folder / "b.png").rename(folder / "a.mat")
  with pytest.raises(errors.DataError, match=r"a.png: of the same name as .*a.mat|a.mat: of the "):
    opened()
  (folder / "a.mat").unlink()
  (folder / "a.png").rename(tmp_path / "a.png")
  with pytest.raises(errors.DataError, match="masks: no file; expected PNG"):
    opened()
  (folder / "a.png").symlink_to(tmp_path / "a.png")
  with pytest.raises(errors.DataError, match="leaves the folder"):
    opened()


@pytest.mark.parametrize("arguments, message", [
    (["--source=masks"], "--labels: missing"), (["--source=coco_masks"], "--annotations: missing")])
def test_flags_that_are_needed(tmp_path, capsys, arguments, message):
  assert command_line.run(build_records.main, [
      "build_records", f"--input={tmp_path}", f"--output={tmp_path}", *arguments]) == 1
  assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["voc100", "labelme_voc3/semantic_segmentation/data_dataset_voc"])
def test_every_real_mask(shared_data, tmp_path, name):
  kit = shared_data / "detection" / name
  code, out = _run(tmp_path, f"--input={kit}", source="voc_masks")
  got = mask_files.stored(writing.load(out, "train"))
  paths = sorted((kit / "SegmentationClass").iterdir())
  assert code == 0 and sorted(got) == [path.stem for path in paths]
  for path in paths:
    np.testing.assert_array_equal(got[path.stem][0], np.asarray(Image.open(path)))


# COCO's outlines.


def _coco_run(tmp_path, content, *more, names=("1.jpg", "2.jpg")):
  folder = box_files.pictures(tmp_path / "in", names)
  path = box_files.write_coco(tmp_path, content)
  return _run(tmp_path, f"--input={folder}", f"--annotations={path}", *more, source="coco_masks")


def _annotation(number, category, segmentation, **more):
  return {"id": number, "image_id": 1, "category_id": category, "iscrowd": 0,
          "segmentation": segmentation, **more}


def _rectangle(y0, x0, y1, x1):
  return [x0, y0, x1, y0, x1, y1, x0, y1]


def _runs(mask):
  """Run lengths down the columns, counted one pixel after another."""
  counts, last = [0], False
  for value in mask.T.ravel():
    if value != last:
      counts.append(0)
      last = value
    counts[-1] += 1
  return {"counts": counts, "size": list(mask.shape)}


def test_overlaps_of_classes_are_void_and_of_one_class_are_not(tmp_path):
  rectangle = np.zeros((40, 50), bool)
  rectangle[10:30, 30:45] = True
  content = box_files.coco(annotations=[
      _annotation(1, 7, [_rectangle(5, 5, 20, 20), _rectangle(25, 5, 30, 10)]),
      _annotation(2, 7, [_rectangle(15, 15, 30, 25)]),
      _annotation(3, 3, [_rectangle(0, 0, 8, 50)]),
      _annotation(4, 3, _runs(rectangle), iscrowd=1)])
  code, out = _coco_run(tmp_path, content)
  assert code == 0
  got = mask_files.stored(record_set := writing.load(out, "train"))
  assert label_map.labels_of(record_set) == ("background", "dog", "cat")
  assert record_set.metadata["category_ids"] == [3, 7]
  want = np.zeros((40, 50), np.uint8)
  want[5:20, 5:20] = want[25:30, 5:10] = want[15:30, 15:25] = 2
  want[0:8] = want[10:30, 30:45] = 1
  want[5:8, 5:20] = 255
  np.testing.assert_array_equal(got["1"][0], want)
  assert got["1"][1] == [0, 1, 2]
  np.testing.assert_array_equal(got["2"][0], 0)
  assert got["2"][1] == [0]


def test_coco128_is_drawn_as_pycocotools_draws_each_object(shared_data, tmp_path):
  from pycocotools.coco import COCO

  folder = shared_data / "detection" / "coco128"
  path = folder / "annotations" / "instances_train2017.json"
  theirs = COCO(str(path))
  order = sorted(theirs.cats)
  opened = coco.open_set([path], [folder / "train2017"], masks=True)
  assert opened.labels == ("background", *(theirs.cats[i]["name"] for i in order))
  crowds = void = 0
  for source in opened.read():
    image = int(source.picture_id)
    claims = collections.defaultdict(bool)
    for one in theirs.imgToAnns[image]:
      index = order.index(one["category_id"]) + 1
      claims[index] = claims[index] | theirs.annToMask(one).astype(bool)
      crowds += one["iscrowd"]
    classes = sum(claims.values(), np.zeros(source.mask.size, int))
    one_class = sum(index * claim for index, claim in claims.items())
    want = np.where(classes > 1, 255, one_class)
    got = outlines.index_mask(source.mask.outlines, *source.mask.size)
    np.testing.assert_array_equal(got, want)
    void += (classes > 1).sum()
  assert crowds == 10 and void > 0 and opened.count == 128


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30), st.floats(0, 1))
def test_run_lengths_in_both_forms(seed, height, width, share):
  from pycocotools import mask as coco_mask

  want = np.random.default_rng(seed).random((height, width)) < share
  text = coco_mask.encode(np.asfortranarray(want.astype(np.uint8)))["counts"].decode()
  for counts in (_runs(want)["counts"], text):
    entry = {"segmentation": outlines.packed({"counts": counts, "size": [height, width]})}
    got = outlines.index_mask((outlines.outline(entry, 3, "here"),), height, width)
    np.testing.assert_array_equal(got, want * 3)


_BIG = {"counts": [2**40, 2000 - 2**40], "size": [40, 50]}


@pytest.mark.parametrize("segmentation, message", [
    ([], "annotation 1: no polygon"), (None, "annotation 1: no segmentation; expected image_id"),
    ([[1, 1, 5, 5]], "a polygon of 4 numbers; expected x, y of at least 3 points"),
    ([[1, 1, 5, 5, 9]], "of 5 numbers"), ([[1, 1, 5, 5, 9, 9, 3]], "of 7 numbers"),
    ([1, 1, 5, 5, 9, 9], "annotation 1: .*; expected polygons, lists of x, y"),
    ([[1, 1, 5, 5, "9", 9]], "expected polygons"), ([[1, 1, 5, 5, True, 9]], "expected polygons"),
    ([[1, 1, 5, 5, None, 9]], "expected polygons"), ("x", "expected polygons"),
    ([[1, 1, 5, 5, 10**400, 9]], "expected polygons"),
    ([[1, 1, 5, 5, float("nan"), 9]], r"a point \[\[nan, 9.0\]\]; expected x, y in or near"),
    ([[1, 1, 5, 5, float("inf"), 9]], "a point"), ([[1, 1, 5, 5, 1e9, 9]], "a point"),
    ([[1, 1, 5, 5, 9, -41]], "a point .* near a picture of 50 x 40"),
    ([_rectangle(-40, -50, 80, 100) * 20_000], r"polygons of \d+ pixels"),
    ({"counts": [1000, 999], "size": [40, 50]}, "counts that sum to 1999; expected 2000"),
    ({"counts": [1000, 1001], "size": [40, 50]}, "counts that sum to 2001; expected 2000"),
    ({"counts": [], "size": [40, 50]}, "counts that sum to 0"),
    ({"counts": [2010, -10], "size": [40, 50]}, "counts from -10 to 2010"),
    (_BIG, "counts from -"), ({"counts": [2**70], "size": [40, 50]}, "counts '"),
    ({"counts": [1.5, 1998.5], "size": [40, 50]}, "counts '.*whole numbers"),
    ({"counts": [True, 1999], "size": [40, 50]}, "counts '"),
    ({"counts": [2000], "size": [50, 40]}, r"size \(50, 40\); expected \(40, 50\), that of"),
    ({"counts": [2000], "size": [40]}, r"size '\[40\]'"), ({"counts": [2000]}, "size 'None'"),
    ({"counts": [2000], "size": ["40", 50]}, "expected height and width"),
    ({"size": [40, 50]}, "counts 'None'"),
    ({"counts": "`n1o", "size": [40, 50]}, "end within a number"),
    ({"counts": "\x01", "size": [40, 50]}, "counts with '.*x01'"),
    ({"counts": "o" * 99, "size": [40, 50]}, "counts with 'o'"),
    ({"counts": "é", "size": [40, 50]}, "counts 'é'"),
    ({"counts": "@", "size": [40, 50]}, "a count of -16; expected 0 to 2000"),
    ({"counts": "", "size": [40, 50]}, "counts that sum to 0"),
])
def test_outlines_that_are_none_are_one_line_that_names_them(
    tmp_path, capsys, segmentation, message):
  entry = _annotation(1, 7, segmentation)
  if segmentation is None:
    del entry["segmentation"]
  code, out = _coco_run(tmp_path, box_files.coco(annotations=[entry]))
  [line] = [x for x in capsys.readouterr().err.splitlines() if "error[" in x]
  assert code == 2 and "annotation 1" in line and re.search(message, line), line
  assert not (out / "manifest-train.json").exists()


def test_a_picture_of_another_size_than_stated_is_listed(tmp_path, capsys):
  content = box_files.coco(images=3, annotations=[])
  content["images"][1]["height"] = 41
  code, out = _coco_run(tmp_path, content, names=("1.jpg", "2.jpg", "3.jpg"))
  assert code == 0 and "left out: size_mismatch 1" in capsys.readouterr().out


def test_classes_of_outlines_are_those_of_the_file(tmp_path, capsys):
  content = box_files.coco(annotations=[])
  (tmp_path / "l").write_text("cat\ndog\n")
  assert _coco_run(tmp_path, content, f"--labels={tmp_path / 'l'}")[0] == 1
  assert "background and the 2 categories by id" in capsys.readouterr().err
  content["categories"][0]["name"] = "background"
  assert _coco_run(tmp_path, content)[0] == 2
  assert "a category 'background'" in capsys.readouterr().err


def test_boxes_are_read_without_outlines_and_outlines_without_boxes(tmp_path):
  """What is not wanted is not kept while the file is read, and may be anything."""
  content = box_files.coco()
  for one in content["annotations"]:
    one["segmentation"] = "anything"
  path = box_files.write_coco(tmp_path, content)
  [first, _] = coco.open_set([path], [tmp_path]).read()
  assert first.mask is None and len(first.objects.boxes) == 2
  for one in content["annotations"]:
    one.update(segmentation=[_rectangle(1, 1, 5, 5)], bbox="anything")
  path = box_files.write_coco(tmp_path, content)
  [first, _] = coco.open_set([path], [tmp_path], masks=True).read()
  assert first.objects is None and [o.index for o in first.mask.outlines] == [2, 1]
  assert isinstance(first.mask, raw.Mask) and first.mask.size == (40, 50)
