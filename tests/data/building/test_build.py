import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jft_reps import errors
from jft_reps.apps import build_records, command_line
from jft_reps.data.building import build, encoding, jpeg_bytes
from jft_reps.data.reading import label_batches
from jft_reps.data.records import label_map, reasons, schema, writing
from jft_reps.data.sources import folder, lists
from tests.data import picture_files as files


def _tree(root, count=6):
  for i in range(count):
    path = root / ("cat" if i % 2 else "dog/deep") / f"{i}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(files.encoded(i, 40 + i, 50))
  return root


def _stored(record_set):
  out = {}
  for path in record_set.paths:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature
      name = feature[schema.SOURCE_ID].bytes_list.value[0].decode()
      out[name] = (feature[schema.ENCODED].bytes_list.value[0],
                   list(feature[schema.LABEL].int64_list.value),
                   list(feature[schema.CONFIDENCE].float_list.value))
  return out


def _decode(data):
  return tf.io.decode_image(data, channels=3, expand_animations=False).numpy()


def test_folder_tree_keeps_files_and_sorts_labels(tmp_path):
  root = _tree(tmp_path / "in")
  (root / "cat" / "notes.txt").write_text("no picture")
  summary = build.build(lambda: folder.read(root), tmp_path / "out", "train", 2)
  stored = _stored(writing.load(tmp_path / "out", "train", full=True))
  assert stored == {
      f"{'cat' if i % 2 else 'dog/deep'}/{i}.jpg": (files.encoded(i, 40 + i, 50), [1 - i % 2], [])
      for i in range(6)}
  assert label_map.labels_of(summary.record_set) == ("cat", "dog")
  assert (summary.pictures, summary.labels, summary.dropped) == (6, 6, {})
  assert summary.record_set.metadata["exif"] == "applied"


def test_a_picture_outside_of_the_sub_folders_is_refused(tmp_path):
  root = _tree(tmp_path)
  (root / "stray.jpg").write_bytes(files.encoded(1))
  with pytest.raises(errors.DataError, match="stray.jpg.*label/picture.jpg"):
    build.build(lambda: folder.read(root), tmp_path / "out", "train")


@pytest.mark.parametrize("name, text", [
    ("l.csv", "path,labels\ndog/deep/0.jpg,x:0.5,y\ncat/1.jpg,y:1.0\n"),
    ("l.tsv", "dog/deep/0.jpg\tx:0.5\ty\ncat/1.jpg\ty\n"),
    ("l.csv", "\ufeff# comment\r\ndog/deep/0.jpg,x:0.5|y\r\n\r\ncat/1.jpg,y\r\n"),
    ("l.csv", '"dog/deep/0.jpg","x:0.5 | y|"\n./cat/1.jpg,y\n'),
    ("l.csv", "ImageID,LabelName\ndog/deep/0.jpg,x:0.5,y,z:0\ncat/1.jpg,y:0.2|y|z:0.0\n")])
def test_lists_in_their_forms(tmp_path, name, text):
  root = _tree(tmp_path / "in")
  (root / name).write_text(text, encoding="utf-8", newline="")
  summary = build.build(lambda: lists.read(root / name), tmp_path / "out", "train", 1)
  found = {os.path.normpath(k): v[1:] for k, v in _stored(summary.record_set).items()}
  assert found == {"dog/deep/0.jpg": ([0, 1], [0.5, 1.0]), "cat/1.jpg": ([1], [])}


@pytest.mark.parametrize("text, message", [
    ("a.jpg,x\n../../etc/passwd,x\n", r"l.csv:2: path '../../etc/passwd' leaves the folder"),
    ("a.jpg,x\n/etc/passwd,x\n", r"l.csv:2: path .* leaves"),
    ("a.jpg,x:1.5\n", r"l.csv:1: label 'x:1.5'"),
    ("a.jpg,x:nan\n", r"l.csv:1: label 'x:nan'"),
    ("a.jpg,x\n,y\n", r"l.csv:2: path ''"),
    ("a.jpg,known\nb.jpg,knwon\n", r"l.csv:2: label 'knwon'.*Did you mean 'known'"),
    ("", "no picture"),
    ("Subject,Tags\na.jpg,x\n", r"l.csv:1: 'Subject' is neither a picture nor a header"),
    ("ImageID,Source,LabelName,Confidence\na.jpg,v,x,0\n", r"l.csv:1: .*'Confidence'"),
])
def test_errors_name_file_and_line(tmp_path, text, message):
  (tmp_path / "l.csv").write_text(text)
  labels = ["known"] if "known" in text else None
  with pytest.raises(errors.DataError, match=message):
    build.build(lambda: lists.read(tmp_path / "l.csv"), tmp_path / "out", "train", labels=labels)
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cells, labels", [
    (",golden retriever", ("golden retriever",)),
    (",New York:0.5|red fox,golden retriever:1", ("New York", "red fox", "golden retriever")),
    (",a||b,,", ("a", "b")), (",n01:dog", ("n01:dog",)), (",dog:0,cat", ("cat",)),
    (",dog:0", ()), (",dog:0|dog:0.5", ("dog",)), ("", ())])
def test_the_text_of_a_label_stays_whole_and_verified_absence_is_no_label(tmp_path, cells, labels):
  (tmp_path / "l.csv").write_text(f"a.jpg{cells}\n")
  [source] = lists.read(tmp_path / "l.csv")
  assert source.labels == labels and len(source.confidences) == len(labels)


@pytest.mark.parametrize("header", [
    "path,label", "ImageID,LabelName", "image_id,label", "ID,class", "URL,tags", "File Name,x",
    "image-path", "# a comment\nFILENAME,label"])
def test_a_header_is_no_picture(tmp_path, header):
  (tmp_path / "l.csv").write_text(f"{header}\na.jpg,x\n")
  assert [s.picture_id for s in lists.read(tmp_path / "l.csv")] == ["a.jpg"]


def test_a_first_picture_without_an_ending_is_a_picture_where_it_exists(tmp_path):
  (tmp_path / "0a1b").write_bytes(files.encoded(1))
  (tmp_path / "l.csv").write_text("0a1b,x\n")
  assert [s.labels for s in lists.read(tmp_path / "l.csv")] == [("x",)]


def test_a_link_out_of_the_folder_is_refused(tmp_path):
  root = _tree(tmp_path / "in")
  (tmp_path / "secret.jpg").write_bytes(files.encoded(1))
  (root / "cat" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
  with pytest.raises(errors.DataError, match="leaves the folder"):
    list(folder.read(root))


def _bad_tree(root):
  _tree(root, 8)
  bad = {"cut.jpg": files.encoded(1)[:-50], "empty.jpg": b"", "text.png": b"hello",
         "bomb.jpg": files.jpeg_of_claimed_size(65500, 65500)}
  for name, data in bad.items():
    (root / "cat" / name).write_bytes(data)
  return root


@pytest.mark.parametrize("processes", [1, 2])
def test_broken_pictures_go_to_the_quarantine_file(tmp_path, processes):
  root = _bad_tree(tmp_path / "in")
  calls = []
  summary = build.build(
      lambda: folder.read(root), tmp_path / "out", "train", 2, processes=processes,
      progress=lambda done, total: calls.append((done, total)))
  lines = (tmp_path / "out" / "quarantine-train.tsv").read_text().splitlines()
  assert sorted(lines) == [f"cat/{name}\t{reason}\t{root}/cat/{name}" for name, reason in (
      ("bomb.jpg", "too_many_pixels"), ("cut.jpg", "decode_error"), ("empty.jpg", "empty_image"),
      ("text.png", "unsupported_format"))]
  assert summary.pictures == 8 and sum(summary.dropped.values()) == 4
  assert summary.record_set.metadata["dropped"] == summary.dropped
  assert calls[-1] == (12, 12) and calls == sorted(calls)
  assert processes > 1 or calls == [(i, 12) for i in range(1, 13)]


def test_all_broken_is_an_error_and_leaves_no_set(tmp_path):
  (tmp_path / "in" / "cat").mkdir(parents=True)
  (tmp_path / "in" / "cat" / "a.jpg").write_bytes(b"\xff\xd8\xff")
  with pytest.raises(errors.DataError, match="none of 1 pictures.*decode_error 1"):
    build.build(lambda: folder.read(tmp_path / "in"), tmp_path / "out", "train")
  assert not [n for n in os.listdir(tmp_path / "out") if n.endswith((".tfrecord", ".json"))]


def test_a_failed_build_lists_what_it_left_out_and_can_be_repeated(tmp_path):
  root, out = _tree(tmp_path / "in"), tmp_path / "out"
  for i in range(120):
    (root / "cat" / f"broken{i}.jpg").write_bytes(b"\xff\xd8\xff")
  read = lambda: folder.read(root)
  with pytest.raises(errors.DataError, match="too-many-bad.*listed in .*quarantine-train.tsv"):
    build.build(read, out, "train", 1)
  lines = (out / "quarantine-train.tsv").read_text().splitlines()
  names = [f"cat/broken{i}.jpg" for i in range(120)]
  assert len(lines) > 50 and set(lines) <= {f"{n}\tdecode_error\t{root}/{n}" for n in names}
  assert sorted(os.listdir(out)) == ["quarantine-train.tsv"]
  for i in range(120):
    (root / "cat" / f"broken{i}.jpg").unlink()
  (root / "emu").mkdir()
  (root / "emu" / "e.jpg").write_bytes(files.encoded(1))
  summary = build.build(read, out, "train", 1)
  assert label_map.labels_of(summary.record_set) == ("cat", "dog", "emu")
  assert summary.quarantine == "" and not (out / "quarantine-train.tsv").exists()


def test_nothing_usable_says_where_the_list_is(tmp_path):
  (tmp_path / "in" / "cat").mkdir(parents=True)
  (tmp_path / "in" / "cat" / "a.jpg").write_bytes(b"\xff\xd8\xff")
  with pytest.raises(errors.DataError, match="listed in .*quarantine-train.tsv"):
    build.build(lambda: folder.read(tmp_path / "in"), tmp_path / "out", "train")
  assert (tmp_path / "out" / "quarantine-train.tsv").read_text() == (
      f"cat/a.jpg\tdecode_error\t{tmp_path}/in/cat/a.jpg\n")


def test_a_label_map_that_no_split_names_is_replaced(tmp_path):
  label_map.write(tmp_path, ["stray"])
  root = _tree(tmp_path / "in")
  summary = build.build(lambda: folder.read(root), tmp_path, "train", 1)
  assert label_map.labels_of(summary.record_set) == ("cat", "dog")
  with pytest.raises(errors.DataError, match="labels-differ"):
    label_map.write(tmp_path, ["stray"])


def test_another_vocabulary_is_refused_before_any_picture_is_decoded(tmp_path, monkeypatch):
  root = _tree(tmp_path / "in")
  build.build(lambda: folder.read(root), tmp_path / "out", "train", 1)
  monkeypatch.setattr(encoding, "encode_picture", lambda *_: pytest.fail("decoded"))
  with pytest.raises(errors.DataError, match="labels-differ"):
    build.build(lambda: folder.read(root), tmp_path / "out", "test", 1, ["dog", "cat"])


def test_two_builds_at_once_never_leave_a_split_under_the_labels_of_the_other(tmp_path):
  root, out = _tree(tmp_path / "in"), tmp_path / "out"

  def other_build(done, total):
    if done == total:
      build.build(lambda: folder.read(root), out, "validation", 1, ["dog", "cat"])

  with pytest.raises(errors.DataError, match="labels-differ"):
    build.build(lambda: folder.read(root), out, "train", 1, progress=other_build)
  assert label_map.labels_of(writing.load(out, "validation")) == ("dog", "cat")
  assert not (out / "manifest-train.json").exists()


def test_spaces_around_the_name_of_a_folder_do_not_count(tmp_path):
  path = tmp_path / "in" / "dog " / "a.jpg"
  path.parent.mkdir(parents=True)
  path.write_bytes(files.encoded(1))
  for split in ("train", "validation"):
    summary = build.build(lambda: folder.read(tmp_path / "in"), tmp_path / "out", split, 1)
    assert label_map.labels_of(summary.record_set) == ("dog",)


def test_a_label_map_replaced_before_the_manifest_names_it_takes_the_set_back(
    tmp_path, monkeypatch):
  root, write = _tree(tmp_path / "in"), label_map.write

  def overtaken(directory, labels, scratch):
    name = write(directory, labels, scratch)
    write(directory, ["dog", "cat"])
    return name

  monkeypatch.setattr(label_map, "write", overtaken)
  with pytest.raises(errors.DataError, match="another build wrote 2 other labels meanwhile"):
    build.build(lambda: folder.read(root), tmp_path / "out", "train", 1)
  assert not (tmp_path / "out" / "manifest-train.json").exists()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_as_pillow_does(orientation):
  from PIL import ImageOps

  exif = Image.Exif()
  exif[0x0112] = orientation
  data = files.encoded(3, 48, 64, exif=exif)
  stored = encoding.encode(data)
  want = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
  got = _decode(stored.data)
  assert got.shape == want.shape == (stored.height, stored.width, 3)
  assert np.abs(got.astype(int) - want.astype(int)).mean() < 3
  assert jpeg_bytes.orientation(stored.data) == 1


def test_stored_size_is_the_plain_resize(tmp_path):
  data = files.encoded(1, 60, 90)
  stored = encoding.encode(data, 34)
  want = np.round(tf.image.resize(_decode(data), [34, 34]).numpy()).astype(np.uint8)
  assert stored.image_format == "jpeg"
  np.testing.assert_array_equal(
      _decode(stored.data), _decode(tf.io.encode_jpeg(want, quality=75).numpy()))
  assert encoding.encode(files.encoded(1, 34, 34), 34).data == files.encoded(1, 34, 34)


def test_bytes_after_the_end_marker_are_cut_off_but_not_previews_inside():
  preview = files.encoded(2, 16, 16)
  plain = files.encoded(1)
  segment = b"\xff\xe2" + (len(preview) + 2).to_bytes(2, "big") + preview
  with_preview = plain[:2] + segment + plain[2:]
  for data in (plain, with_preview, files.encoded(1, progressive=True),
               files.encoded(1, restart_marker_blocks=1)):
    assert encoding.encode(data + b"tail\xff\xd9").data == data
  cut = with_preview[: 4 + len(segment) + 100]
  assert encoding.encode(cut).reason == reasons.DECODE_ERROR


def test_a_second_split_shares_the_labels_or_is_refused(tmp_path):
  root = _tree(tmp_path / "in")
  read = lambda: folder.read(root)
  build.build(read, tmp_path / "out", "train", 1)
  build.build(read, tmp_path / "out", "validation", 1, ["cat", "dog"])
  with pytest.raises(errors.DataError, match="labels.txt"):
    build.build(read, tmp_path / "out", "test", 1, ["dog", "cat"])


@pytest.mark.parametrize("text, message", [
    ("a\n\nb\n", ":2: an empty line"), ("a\nb\na\n", ":3: label 'a'.*line 1"), ("", "no label")])
def test_bad_label_maps(tmp_path, text, message):
  (tmp_path / "labels.txt").write_text(text)
  with pytest.raises(errors.DataError, match=message):
    label_map.read(tmp_path / "labels.txt")


def test_label_map_normalises_line_ends_and_byte_order_mark(tmp_path):
  (tmp_path / "labels.txt").write_bytes("\ufeffa\r\nb c\r\n".encode())
  assert label_map.read(tmp_path / "labels.txt") == ("a", "b c")


def test_program_prints_a_summary_and_its_records_train(tmp_path, capsys):
  root = _bad_tree(tmp_path / "in")
  argv = ["build_records", f"--input={root}", f"--output={tmp_path / 'out'}", "--shards=2",
          "--store_size=34", "--processes=1"]
  assert command_line.run(build_records.main, argv) == 0
  out, err = capsys.readouterr()
  assert "8 pictures in 2 shards" in out and "1.00 labels a picture, 2 classes" in out
  assert "decode_error 1, empty_image 1" in out and "\r" not in err
  record_set = writing.load(tmp_path / "out", "train")
  batches = label_batches.eval_batches(record_set, 8, num_classes=2)
  [batch] = batches.as_numpy_iterator()
  assert batch["image"].shape == (8, 299, 299, 3)
  assert command_line.run(build_records.main, argv) == 2
  assert "there already" in capsys.readouterr().err


def test_program_errors_are_one_line_with_their_exit_code(tmp_path):
  command = [sys.executable, "-m", "jft_reps.apps.build_records", "--source=csv",
             f"--input={tmp_path / 'no.csv'}", f"--output={tmp_path / 'out'}"]
  environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
  done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
  lines = [x for x in done.stderr.splitlines() if "cuda" not in x]
  assert done.returncode == 2
  assert len(lines) == 1 and "no.csv" in lines[0] and "Traceback" not in done.stderr
