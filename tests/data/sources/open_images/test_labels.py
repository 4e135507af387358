"""Open Images: rows of several files and forms meet their pictures; people overrule machines."""

from __future__ import annotations

import csv
import random

import numpy as np
import pytest

from jft_reps import errors
from jft_reps.data.sources import joined
from jft_reps.data.sources.open_images import labels as open_images
from jft_reps.data.sources.open_images import rows as open_images_rows
from tests.data import picture_files as files

_LABELS = "ImageID,Source,LabelName,Confidence\n"
_BOXES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf\n"


def _pictures(root, *names):
  for name in names:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(files.encoded(sum(name.encode())))
  return root


def _write(path, text):
  path.write_text(text)
  return path


def _read(*arguments, **more):
  opened = open_images.open_set(*arguments, **more)
  return {s.picture_id: s for s in opened.read()}, opened


def test_people_overrule_machines_and_absence_is_kept(tmp_path):
  root = _pictures(tmp_path / "in", "train_0/a.jpg", "train_1/deep/b.JPEG", "c.png", "d.jpg")
  machine = _write(tmp_path / "m.csv", _LABELS + (
      "a,machine,/m/1,0.9\nb,machine,/m/1,0.7\na,machine,/m/2,0.8\na,machine,/m/3,0.5\n"
      "gone,machine,/m/1,0.6\nb,machine,/m/1,0.6\n"))
  human = _write(tmp_path / "h.csv", _LABELS + (
      "a,verification,/m/2,0\na,crowdsource-verification,/m/3,1\na,verification,/m/4,0\n"
      "c,verification,/m/9,0\n"))
  got, opened = _read([root], [machine, human])
  assert {k: dict(zip(s.labels, s.confidences)) for k, s in got.items()} == {
      "a": {"/m/1": 0.9, "/m/3": 1.0}, "b": {"/m/1": 0.7}, "c": {}}
  assert {k: sorted(s.absent) for k, s in got.items()} == {
      "a": ["/m/2", "/m/4"], "b": [], "c": ["/m/9"]}
  assert got["b"].path == str(root / "train_1/deep/b.JPEG") and got["b"].objects is None
  assert +opened.counts == {
      "machine_labels": 2, "machine_labels_overridden": 2, "human_labels": 1,
      "verified_absences": 3, "missing_pictures": 1, "pictures_without_labels": 1}
  first = dict(opened.counts)
  assert [s.picture_id for s in opened.read()] == list(got) and dict(opened.counts) == first


def test_boxes_are_normalised_and_groups_are_crowds(tmp_path):
  root = _pictures(tmp_path / "in", "a.jpg", "b.jpg")
  boxes = _write(tmp_path / "b.csv", _BOXES + (
      "a,xclick,/m/2,1,0.125,0.5,0.25,1.0,0,1\na,xclick,/m/1,1,0,1,0,1,1,-1\n"))
  human = _write(tmp_path / "h.csv", _LABELS + "a,verification,/m/7,0\nb,verification,/m/1,1\n")
  got, opened = _read([root], [boxes, human], boxes=True)
  [source] = got.values()
  order = np.argsort(source.objects.labels)
  np.testing.assert_array_equal(
      source.objects.boxes[order], [[0, 0, 1, 1], [0.25, 0.125, 1.0, 0.5]])
  assert [source.objects.crowd[i] for i in order] == [False, True]
  assert source.objects.normalised and source.absent == ("/m/7",)
  assert sorted(source.labels) == ["/m/1", "/m/2"] and opened.counts["boxes"] == 2
  assert opened.counts["pictures_without_boxes"] == 1
  alone, _ = _read([root], [boxes])
  assert alone["a"].objects is not None
  labels, opened = _read([root], [boxes, human])
  assert labels["a"].objects is None and not opened.boxes
  assert dict(zip(labels["a"].labels, labels["a"].confidences)) == {"/m/1": 1.0, "/m/2": 1.0}


def test_rows_of_other_classes_are_counted(tmp_path):
  root = _pictures(tmp_path / "in", "a.jpg", "b.jpg")
  rows = _write(tmp_path / "r.csv", _LABELS + "a,machine,x,0.9\na,machine,y,0.8\nb,machine,y,1\n")
  got, opened = _read([root], [rows], classes=["x"])
  assert {k: s.labels for k, s in got.items()} == {"a": ("x",)}
  assert opened.counts["rows_of_other_classes"] == 2
  assert opened.counts["pictures_without_labels"] == 1


def test_order_of_files_and_rows_says_nothing(tmp_path):
  """Ungrouped rows in two orders, against dictionaries."""
  rng = random.Random(3)
  ids = [f"{i:016x}" for i in range(60)]
  root = _pictures(tmp_path / "in", *[f"{i[-1]}/{i}.jpg" for i in ids[:50]])
  rows = [(i, rng.choice(["machine", "verification"]), f"/m/{rng.randrange(5)}")
          for i in ids[5:] for _ in range(rng.randrange(1, 8))]
  rows = [(*r, rng.choice(["0.5", "0.9"] if r[1] == "machine" else ["0", "1"])) for r in rows]
  human, machine = {}, {}
  for image, source, label, confidence in rows:
    found = (machine if source == "machine" else human).setdefault(image, {})
    found[label] = max(float(confidence), found.get(label, 0))
  results = []
  for _ in range(2):
    rng.shuffle(rows)
    paths = []
    for number in range(3):
      paths.append(tmp_path / f"{number}.csv")
      with open(paths[-1], "w", newline="") as file:
        csv.writer(file).writerows([_LABELS.strip().split(","), *rows[number::3]])
    results.append(_read([root], paths)[0])
  for got in results:
    assert sorted(got) == ids[5:50]
    for image, source in got.items():
      verified, guessed = human.get(image, {}), machine.get(image, {})
      assert set(source.absent) == {label for label, c in verified.items() if c == 0}
      assert dict(zip(source.labels, source.confidences)) == {
          label: c for label, c in {**guessed, **verified}.items() if c > 0}
  assert list(results[0]) == list(results[1])


@pytest.mark.parametrize("name, rows, boxes", [
    ("v1_machine", 13, False), ("v2_human", 9, False), ("v2_machine", 9, False),
    ("v3_human", 9, False), ("v3_machine", 9, False), ("v2_boxes", 9, True),
    ("v2_boxes_attr", 9, True), ("v3_boxes", 9, True), ("v3_boxes_attr", 9, True)])
def test_real_rows_of_every_version(shared_data, name, rows, boxes):
  path = shared_data / "multilabel/openimages_rows" / f"{name}.csv"
  with open(path, newline="") as file:
    theirs = list(csv.DictReader(file))
  ours = list(open_images_rows.rows(path))
  assert len(ours) == rows and open_images_rows.has_boxes(path) == boxes
  for row, cells in zip(ours, theirs, strict=True):
    assert row[:2] == (cells["ImageID"], cells["LabelName"])
    assert row.human == (cells["Source"] != "machine")
    assert row.confidence == float(cells["Confidence"])
    if boxes:
      assert row.box == tuple(float(cells[k]) for k in ("YMin", "XMin", "YMax", "XMax"))
      assert row.crowd == (cells.get("IsGroupOf") == "1")


def test_real_rows_meet_their_pictures(shared_data, tmp_path):
  folder = shared_data / "multilabel/openimages_rows"
  root = _pictures(tmp_path, "000002b66c9c498e.jpg", "000026e7ee790996.jpg")
  got, opened = _read([root], [folder / "v2_machine.csv", folder / "v2_human.csv"])
  assert list(got) == ["000002b66c9c498e"]
  assert sorted(got["000002b66c9c498e"].absent) == [
      "/m/014l8n", "/m/017ycn", "/m/018tkd", "/m/01_qs1", "/m/01b7zv", "/m/01d07t"]
  assert opened.counts["machine_labels"] == 3 and opened.counts["human_labels"] == 3
  got, _ = _read([root], [folder / "v3_boxes.csv", folder / "v3_boxes_attr.csv"])
  assert got["000026e7ee790996"].objects.crowd == (True,) * 3
  assert len(got["000002b66c9c498e"].objects.labels) == 9


@pytest.mark.parametrize("text, message", [
    ("", r"r.csv:1: columns ; expected ImageID,Source,LabelName,Confidence"),
    ("a,machine,x,1\n", r"r.csv:1: columns a,machine,x,1;"),
    ("ImageID,LabelName1,LabelName2,XMin1\n", r"r.csv:1: .*relationships"),
    ("ImageID,OriginalURL\n", r"r.csv:1: columns"),
    (_LABELS + "a,machine,x\n", r"r.csv:2: 3 columns; expected 4.*cut off"),
    (_LABELS + "a,machine,x,1.5\n", r"r.csv:2: confidence '1.5'; expected within 0 and 1"),
    (_LABELS + "a,machine,x,nan\n", r"r.csv:2: 'nan'; expected a number"),
    (_LABELS + "a,machine,x,\n", r"r.csv:2: ''; expected a number"),
    (_LABELS + ",machine,x,1\n", r"r.csv:2: ImageID ''"),
    (_LABELS + "a,machine,x\x1b,1\n", r"r.csv:2: LabelName 'x\\+x1b'"),
    (_LABELS + '\na,machine,"x\ty",1\n', r"r.csv:3: LabelName 'x\\+ty'"),
    (_LABELS + 'a,machine,"x,1\n', r"r.csv:2: unexpected end of data"),
    (_LABELS + "a,machine," + "x" * 200_000 + ",1\n", r"r.csv:2: 3 columns"),
    (_BOXES + "a,xclick,x,1,0.1,inf,0,1,0,0\n", r"r.csv:2: 'inf'; expected a number"),
    (_BOXES + "a,xclick,x,1,0.1\n", r"r.csv:2: 5 columns; expected 10"),
    (_LABELS + "other,machine,x,1\n", r"no picture has an annotation: 1 missing pictures, 1 pict"),
])
def test_bad_rows_are_named(tmp_path, text, message):
  root = _pictures(tmp_path / "in", "a.jpg")
  path = _write(tmp_path / "r.csv", text)
  with pytest.raises(errors.DataError, match=message):
    _read([root], [path])


def test_bytes_that_are_no_text_and_missing_files(tmp_path):
  root = _pictures(tmp_path / "in", "a.jpg")
  (tmp_path / "r.csv").write_bytes(_LABELS.encode() + b"a,machine,\xff,1\n")
  with pytest.raises(errors.DataError, match=r"r.csv.*UTF-8"):
    _read([root], [tmp_path / "r.csv"])
  with pytest.raises(errors.DataError, match="no.csv: No such file"):
    _read([root], [tmp_path / "no.csv"])
  with pytest.raises(errors.DataError, match="nowhere: no such folder"):
    _read([tmp_path / "nowhere"], [tmp_path / "r.csv"])
  with pytest.raises(errors.DataError, match="no boxes in any file"):
    _read([root], [_write(tmp_path / "l.csv", _LABELS)], boxes=True)


def test_a_link_out_of_the_folder_is_refused_and_a_second_copy_counted(tmp_path):
  outside = _pictures(tmp_path / "out", "a.jpg")
  root = _pictures(tmp_path / "in", "x/b.jpg", "y/b.jpg")
  rows = _write(tmp_path / "r.csv", _LABELS + "b,machine,x,1\n")
  got, opened = _read([root], [rows])
  assert got["b"].path.endswith("x/b.jpg") and opened.counts["repeated_pictures"] == 1
  (root / "a.jpg").symlink_to(outside / "a.jpg")
  with pytest.raises(errors.DataError, match="leaves the folder"):
    _read([root], [_write(tmp_path / "r.csv", _LABELS + "a,machine,x,1\n")])


def test_a_join_gives_every_row_back_once_under_its_key():
  rng = random.Random(0)
  rows = [(f"k{rng.randrange(300)}", str(i), "é\udcff" * (i % 3)) for i in range(2000)]
  with joined.Join() as join:
    for row in rows:
      join.add(*row)
    groups = dict(join.groups())
  expected = {}
  for key, *cells in rows:
    expected.setdefault(key, []).append(cells)
  assert groups.keys() == expected.keys()
  assert all(sorted(groups[k]) == sorted(expected[k]) for k in expected)


def test_a_full_disk_is_named(monkeypatch):
  with joined.Join() as join:
    monkeypatch.setattr(join, "_files", [open("/dev/full", "wb", buffering=0)] * 128)
    with pytest.raises(errors.StorageError, match="No space left on device.*TMPDIR"):
      join.add("a", "b")
