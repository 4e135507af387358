"""Every kind of fault is found, named and placed; sets without one give no finding."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.collection.checks import findings, pictures, records, validation
from jft_reps.collection.subsets import subsets
from jft_reps.collection.subsets.choice import Choice
from jft_reps.data.reading import parse_labels
from jft_reps.data.records import keypoint_schema, manifest, reasons
from jft_reps.errors import DataError
from jft_reps.ops import images
from tests.data import picture_files as files
from tests.data import record_files

LABELS = ("cat", "dog", "owl")
BOX = [[0.1, 0.2, 0.5, 0.6]]
POINTS = keypoint_schema.KeypointSchema("two", ("head", "foot"), (), ((0, 1),), (0.1, 0.1))


def boxed(name="x", boxes=BOX, **more) -> bytes:
  return files.example(name, boxes=boxes, object_labels=[1] * len(boxes), **more)


def masked(indices, name="x", **more) -> bytes:
  return files.example(name, segmentation=files.grey_png(indices), **more)


def validate(directory, *splits, **more) -> validation.Report:
  return validation.validate([(str(directory), s) for s in splits or ("train",)], **more)


def kinds(report) -> dict[str, int]:
  return dict(report.findings.counts)


def one_bad(tmp_path, record: bytes, decode=False, **metadata) -> validation.Report:
  """Report on a set of a bad record among good ones."""
  fine = record_files.good("a", "b", "c")
  if metadata.get("annotations") == "masks":
    fine = {n: masked(np.full((24, 32), 1), n) for n in "abc"}
  shards = record_files.by_shard({**fine, "x": record}, 1)
  record_files.write(tmp_path, "train", shards, LABELS, **metadata)
  return validate(tmp_path, decode=decode)


X = files.example("x")
BAD_RECORDS = {
    "no example": ("parse_error", b"\xff\xfe not an Example \x80", {}),
    "another kind": ("parse_error", record_files.changed(X, label=[0.5]), {}),
    "two pictures": ("parse_error", record_files.changed(X, encoded=[b"\xff\xd8\xff", b"b"]), {}),
    "no picture": ("missing_feature", record_files.changed(X, encoded=None), {}),
    "no id": ("missing_feature", record_files.changed(X, source_id=None), {}),
    "empty picture": ("empty_image", record_files.changed(X, encoded=[b""]), {}),
    "gif": ("unsupported_format", record_files.changed(X, encoded=[b"GIF89a"]), {}),
    "bad header": ("decode_error", record_files.changed(X, encoded=[b"\xff\xd8\xff\xe0"]), {}),
    "bomb": ("too_many_pixels", record_files.changed(
        X, encoded=[files.jpeg_of_claimed_size(20_000, 20_000)]), {}),
    "tiny": ("too_small", files.example("x", files.encoded(0, 4, 4)), {}),
    "ribbon": ("bad_aspect", files.example("x", files.encoded(0, 8, 200)), {}),
    "stated size": ("size_mismatch", record_files.changed(X, height=[25]), {}),
    "label": ("label_out_of_range", files.example("x", labels=(0, 3)), {}),
    "negative label": ("label_out_of_range", files.example("x", labels=(-1,)), {}),
    "unknown": ("label_out_of_range", files.example("x", unknown=(7,)), {}),
    "absent": ("label_out_of_range", files.example("x", absent=(7,)), {}),
    "contradiction": ("label_and_absent", files.example("x", labels=(1,), absent=(0, 1)), {}),
    "confidence": ("bad_confidence", files.example("x", confidences=(1.5,)), {}),
    "nan confidence": ("bad_confidence", files.example("x", confidences=(float("nan"),)), {}),
    "confidences": ("parse_error", record_files.changed(X, confidence=[0.5, 0.5]), {}),
    "many labels": ("too_many_labels", files.example("x", labels=[1] * 100_001), {}),
    "box outside": ("bad_box", boxed(boxes=[[0.1, 0.2, 0.5, 1.01]]), {}),
    "box in pixels": ("bad_box", boxed(boxes=[[10, 20, 30, 40]]), {}),
    "no area": ("degenerate_box", boxed(boxes=[[0.1, 0.2, 0.1, 0.6]]), {}),
    "turned box": ("degenerate_box", boxed(boxes=[[0.1, 0.6, 0.5, 0.2]]), {}),
    "object label": ("label_out_of_range", record_files.changed(boxed(), object_label=[9]), {}),
    "box lists": ("parse_error", record_files.changed(boxed(), object_label=[1, 1]), {}),
    "crowd list": ("parse_error", record_files.changed(boxed(), object_crowd=[0, 1]), {}),
    "points": ("bad_keypoints", boxed(keypoints=[[[0.1, 0.1, 2]] * 3]), {"points": True}),
    "visibility": ("bad_keypoints", boxed(keypoints=[[[0.1, 0.1, 2], [0, 0, 3]]]),
                   {"points": True}),
    "nan point": ("bad_keypoints", boxed(keypoints=[[[float("nan"), 0.1, 2], [0, 0, 0]]]),
                  {"points": True}),
    "no mask": ("missing_feature", X, {"masks": True}),
    "mask size": ("size_mismatch", masked(np.ones((24, 31))), {"masks": True}),
    "mask form": ("bad_mask", files.example("x", segmentation=files.encoded(0)), {"masks": True}),
    "colour mask": ("bad_mask", files.example(
        "x", segmentation=files.encoded(0, form="PNG")), {"masks": True}),
    "object mask": ("size_mismatch", boxed(object_masks=[files.grey_png(np.ones((4, 4)))]), {}),
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_bad_record_is_named_with_its_file_place_and_id(tmp_path, name):
  reason, record, about = BAD_RECORDS[name]
  metadata = {"annotations": "masks"} if about.get("masks") else {}
  if about.get("points"):
    metadata = {"keypoints": POINTS.to_json()}
  report = one_bad(tmp_path, record, **metadata)
  assert kinds(report) == {reason: 1}
  (line,) = report.findings.lines()
  place = [i for i, r in enumerate(
      tf.data.TFRecordDataset(manifest.load(tmp_path, "train").paths).as_numpy_iterator())
           if r == record][0]
  assert line.startswith(f"{reason}: train-00000-of-00001.tfrecord record {place}")
  assert ("picture 'x'" in line) == (name not in ("no example", "no id"))
  assert "\n" not in line and line.isprintable() and len(line) < 600


WITH_PIXELS = {
    "cut": ("decode_error", files.example("x", files.encoded(0)[:-200]), {}),
    "mask class": ("label_out_of_range", masked(np.full((24, 32), 3)), {"annotations": "masks"}),
    "void": ("void_mask", masked(np.full((24, 32), 255)), {"annotations": "masks"}),
    "cut mask": ("bad_mask", files.example(
        "x", segmentation=files.grey_png(np.ones((24, 32)))[:-20]), {"annotations": "masks"}),
}


@pytest.mark.parametrize("name", WITH_PIXELS)
def test_what_only_pixels_show_is_found_in_full(tmp_path, name):
  reason, record, metadata = WITH_PIXELS[name]
  report = one_bad(tmp_path, record, decode=True, **metadata)
  assert kinds(report) == {reason: 1}
  assert not validate(tmp_path).findings


def test_whatever_a_reader_leaves_out_before_it_decodes_has_the_same_reason():
  plain = {name: (reason, record) for name, (reason, record, about) in BAD_RECORDS.items()
           if not about}
  parser = parse_labels.LabelParser(images.CenterCrop(16, 16), len(LABELS), 100)
  codes = parser.parse(tf.constant([record for _, record in plain.values()]))["problem"].numpy()
  refused = {name: reasons.NAMES[code] for name, code in zip(plain, codes) if code >= 0}
  assert len(refused) >= 10
  for name, reason in refused.items():
    malformed = plain[name][0] == "parse_error" and reason == "missing_feature"
    assert malformed or plain[name][0] == reason, name


_FUZZED = [boxed(keypoints=[[[0.1, 0.1, 2]] * 2], object_masks=[files.grey_png(np.ones((24, 32)))]),
           masked(np.ones((24, 32)), confidences=(0.5,), absent=(0,))]


@given(st.data())
def test_no_bytes_can_make_a_check_fail(data):
  record = bytearray(data.draw(st.sampled_from(_FUZZED)))
  for _ in range(data.draw(st.integers(1, 20))):
    record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
  kept = bytes(record[:data.draw(st.sampled_from([len(record), len(record) // 2]))])
  rules = records.Rules(3, "masks", 2)
  for serialized in (kept, data.draw(st.binary(max_size=200))):
    found = records.read(serialized, rules)
    problems = [*found.problems, *pictures.examine(found.values, rules, decode=True)]
    assert all(isinstance(reason, str) and isinstance(text, str) for reason, text in problems)


def test_good_sets_of_every_kind_give_no_finding_and_right_counts(tmp_path):
  labels = [(0,), (1, 1), (2, 0), (), (0, 1)]
  plain = {f"p{i}": files.example(f"p{i}", labels=ids, absent=(2,) if i == 0 else None)
           for i, ids in enumerate(labels)}
  record_files.write(tmp_path, "train", record_files.by_shard(plain, 3), LABELS)
  points = [[[0.1, 0.1, 2], [0, 0, 0]]]
  people = {f"b{i}": boxed(f"b{i}", keypoints=points,
                           object_masks=[files.grey_png(np.ones((24, 32)))]) for i in range(3)}
  record_files.write(tmp_path, "people", record_files.by_shard(people, 1), LABELS,
                     keypoints=POINTS.to_json())
  masks = {f"m{i}": masked(np.array([[0, 255], [1, 2]]).repeat(12, 0).repeat(16, 1), f"m{i}")
           for i in range(3)}
  record_files.write(tmp_path, "masks", record_files.by_shard(masks, 2), LABELS,
                     annotations="masks")
  assert validation.splits_of(tmp_path) == ["masks", "people", "train"]
  report = validate(tmp_path, "train", "people", "masks", decode=True,
                    hierarchy_ids=list(LABELS))
  assert not report.findings and not list(report.findings.lines())
  train, people, masks = report.sets
  assert (train.records, train.shards, train.labels, train.most_labels) == (5, 3, 6, 2)
  assert train.counts.tolist() == [3, 2, 1] and people.boxes == 3 and masks.records == 3
  assert "5 pictures in 3 shards, 6 labels (1.20 a picture, at most 2)" in train.text()
  assert "1 of 3 classes; no picture of 2: cat, owl" in people.text()


def test_ids_have_their_place_and_occur_once(tmp_path):
  examples = record_files.good(*(f"p{i}" for i in range(8)))
  first, second = record_files.by_shard(examples, 2)
  record_files.write(tmp_path / "unsorted", "train", [first[::-1], second], LABELS)
  assert kinds(validate(tmp_path / "unsorted")) == {"unsorted": len(first) - 1}
  record_files.write(tmp_path / "swapped", "train", [second, first], LABELS)
  assert kinds(validate(tmp_path / "swapped")) == {"wrong_shard": 8}
  record_files.write(tmp_path / "twice", "train", [first, second + second[-1:]], LABELS)
  assert kinds(validate(tmp_path / "twice")) == {"duplicate_id": 1}


def test_pictures_of_two_splits_are_named(tmp_path):
  for split, names in (("train", "abcdefgh"), ("val", "hxyb"), ("test", "uvw")):
    record_files.write(
        tmp_path, split, record_files.by_shard(record_files.good(*names), 2), LABELS)
  report = validate(tmp_path, "train", "val", "test")
  assert kinds(report) == {"split_overlap": 2}
  assert sorted(report.findings.lines()) == [
      f"split_overlap: picture '{name}': in val and in train" for name in "bh"]
  assert [s.split for s in report.sets] == ["train", "val", "test"]
  other = validation.validate([(str(tmp_path), "test"), (str(tmp_path), "train")])
  assert not other.findings


def test_subsets_are_no_overlap_and_are_held_against_their_manifest(tmp_path):
  examples = record_files.good(*(f"p{i}" for i in range(20)))
  record_files.write(tmp_path, "train", record_files.by_shard(examples, 4), LABELS)
  subsets.make(tmp_path, "train", {"five": 5, "ten": 10}, Choice(LABELS))
  report = validate(tmp_path, "five", "ten", "train")
  assert not report.findings and [(s.split, s.records, s.examined) for s in report.sets] == [
      ("five", 5, False), ("ten", 10, False), ("train", 20, True)]
  report = validate(tmp_path, "five", "ten")
  assert not report.findings and [s.records for s in report.sets] == [5, 10]
  content = json.loads((tmp_path / "manifest-five.json").read_text())
  content["shards"][0]["sha256"] = "0" * 64
  (tmp_path / "manifest-five.json").write_text(json.dumps(content))
  assert kinds(validate(tmp_path, "five", "train")) == {"subset-of-another": 1}


def damage(directory, name):
  path = directory / name
  data = bytearray(path.read_bytes())
  return path, data


def test_damaged_files_are_findings_and_the_others_are_examined(tmp_path):
  examples = {**record_files.good(*(f"p{i}" for i in range(30))),
              "bad": files.example("bad", labels=(9,))}
  shards = record_files.by_shard(examples, 6)
  written = record_files.write(tmp_path, "train", shards, LABELS)
  home = [i for i, s in enumerate(shards) if examples["bad"] in s][0]
  hit = [i for i in range(6) if i != home]
  paths = [written.paths[i] for i in hit]
  os.remove(paths[0])
  open(paths[1], "wb").close()
  data = bytearray(open(paths[2], "rb").read())
  data[len(data) // 2] ^= 1
  open(paths[2], "wb").write(data)
  with open(paths[3], "r+b") as file:
    file.truncate(os.path.getsize(paths[3]) - 3)
  report = validate(tmp_path)
  assert kinds(report) == {"missing-shards": 1, "empty-file": 1, "corrupt-record": 1,
                           "truncated-file": 1, "label_out_of_range": 1}
  text = "\n".join(report.findings.lines())
  assert all(os.path.basename(p) in text for p in paths[:4])
  assert report.sets[0].shards == 2
  assert report.sets[0].records == len(shards[home]) + len(shards[hit[4]])


def test_manifests_and_label_maps_are_held_against_one_another(tmp_path):
  shards = record_files.by_shard(record_files.good("a", "b"), 1)
  record_files.write(tmp_path / "one", "train", shards, LABELS)
  record_files.write(tmp_path / "two", "val", record_files.by_shard(record_files.good("c"), 1),
                     ("cat", "owl", "dog"))
  sets = [(str(tmp_path / "one"), "train"), (str(tmp_path / "two"), "val")]
  report = validation.validate(sets)
  assert kinds(report) == {"labels-differ": 1}
  assert "class 1 is 'owl' here and 'dog' there" in next(report.findings.lines())
  report = validation.validate(sets[:1], hierarchy_ids=["cat", "dog"])
  assert "class 2 is 'owl' here and missing there" in next(report.findings.lines())
  record_files.write(tmp_path / "bare", "train", shards)
  assert kinds(validate(tmp_path / "bare")) == {"no-labels": 1}
  (tmp_path / "one" / "labels.txt").write_text("cat\n\nowl\n")
  assert kinds(validate(tmp_path / "one")) == {"blank-label": 1}
  (tmp_path / "two" / "manifest-val.json").write_text("{")
  assert kinds(validate(tmp_path / "two", "val", "gone")) == {"bad-manifest": 1, "no-manifest": 1}
  with pytest.raises(DataError, match="no-manifest"):
    validation.splits_of(tmp_path)


def test_keypoint_schemas_are_one(tmp_path):
  people = record_files.by_shard({"a": boxed("a", keypoints=[[[0.1, 0.1, 2], [0, 0, 0]]])}, 1)
  record_files.write(tmp_path, "train", people, LABELS, keypoints=POINTS.to_json())
  other = {**POINTS.to_json(), "names": ["foot", "head"]}
  record_files.write(tmp_path, "val", [[]], LABELS, keypoints=other)
  assert kinds(validate(tmp_path, "train", "val")) == {"keypoints-differ": 1}
  record_files.write(tmp_path, "test", [[]], LABELS, keypoints={"names": 3})
  assert kinds(validate(tmp_path, "test")) == {"keypoint-schema": 1}


def test_findings_keep_the_first_of_each_kind_and_count_the_rest():
  one, two = findings.Findings(2), findings.Findings(2)
  for i in range(3):
    one.add("bad", f"file {i}", "line\nbreak \x1b[31m")
  two.add("worse", "w", "x" * 10_000)
  two.add("bad", "file 9", "y")
  one.merge(two)
  lines = list(one.lines())
  assert lines[:3] == ["bad: file 0: line\\nbreak \\x1b[31m", "bad: file 1: line\\nbreak \\x1b[31m",
                       "bad: … and 2 more"]
  assert len(one) == 5 and one.counts == {"bad": 4, "worse": 1} and len(lines[3]) < 500


@pytest.mark.slow
def test_processes_find_the_same(tmp_path):
  bad = {n: r for n, (_, r, about) in BAD_RECORDS.items() if not about and n != "many labels"}
  shards = record_files.by_shard({**record_files.good(*"abcdefgh"), **bad}, 3)
  record_files.write(tmp_path, "train", shards, LABELS)
  alone, several = (validate(tmp_path, decode=True, processes=n, most=100) for n in (1, 2))
  assert len(alone.findings) >= len(bad)
  assert list(alone.findings.lines()) == list(several.findings.lines())
  assert alone.sets[0].text() == several.sets[0].text()
