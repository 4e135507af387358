import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys

import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.records import framing, spills
from jft_reps.data.records import writing as records


def _write(directory, count=40, shards=4, split="train"):
  with records.Writer(directory, split, shards) as writer:
    for i in range(count):
      writer.write(f"p{i}", f"record {i} ".encode() * (i + 1))
  return writer.record_set


def _read(path):
  return list(tf.data.TFRecordDataset(path).as_numpy_iterator())


def test_hash_is_the_leading_bits_of_blake2b():
  for name in ("", "a", "å/ü.jpg", "p7"):
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    assert records.unit_hash(name) == pytest.approx(
        int.from_bytes(digest, "big") / 2**64, abs=2**-52)
    assert 0 <= records.unit_hash(name) < 1


def test_checksum_of_known_vectors():
  for data, crc in ((b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA)):
    rotated = int(f"{crc:032b}"[-15:] + f"{crc:032b}"[:-15], 2)
    assert framing.masked_crc(data) == (rotated + 0xA282EAD8) % 2**32


def test_shards_are_ranges_of_the_hash_and_sorted(tmp_path):
  record_set = _write(tmp_path, 200, 8)
  names = {f"record {i} ".encode() * (i + 1): f"p{i}" for i in range(200)}
  hashes = []
  for index, path in enumerate(record_set.paths):
    inside = [records.unit_hash(names[r]) for r in _read(path)]
    assert all(int(h * 8) == index for h in inside)
    hashes += inside
  assert hashes == sorted(hashes) and len(hashes) == 200


def test_manifest_holds_records_bytes_and_checksum(tmp_path):
  _write(tmp_path)
  content = json.loads((tmp_path / "manifest-train.json").read_text())
  assert content["records"] == 40 and content["version"] == 1
  for shard in content["shards"]:
    data = (tmp_path / shard["file"]).read_bytes()
    assert shard["bytes"] == len(data)
    assert shard["sha256"] == hashlib.sha256(data).hexdigest()
    assert shard["records"] == len(_read(str(tmp_path / shard["file"])))


def test_order_of_writing_and_spilling_change_nothing(tmp_path, monkeypatch):
  one = _write(tmp_path / "a")
  monkeypatch.setattr(spills, "_BUFFER", 100)
  with records.Writer(tmp_path / "b", "train", 4) as writer:
    for i in reversed(range(40)):
      writer.write(f"p{i}", f"record {i} ".encode() * (i + 1))
  assert one.shards == writer.record_set.shards
  assert not [n for n in os.listdir(tmp_path / "b") if n.startswith(".")]


def test_an_exception_leaves_nothing(tmp_path):
  with pytest.raises(RuntimeError), records.Writer(tmp_path, "train", 2) as writer:
    writer.write("a", b"1")
    raise RuntimeError
  assert os.listdir(tmp_path) == []


def test_duplicate_ids_are_refused_and_leave_nothing(tmp_path):
  with pytest.raises(errors.DataError, match="'twin' was written twice, as pictures 1 and 3"):
    with records.Writer(tmp_path, "train", 2) as writer:
      for name in ("a", "twin", "b", "twin"):
        writer.write(name, name.encode())
  assert os.listdir(tmp_path) == []


def test_a_short_shard_is_noticed_before_it_gets_its_name(tmp_path, monkeypatch):
  framed = framing.framed
  monkeypatch.setattr(
      framing, "framed", lambda record: b"" if b"record 7 " in record else framed(record))
  with pytest.raises(errors.StorageError, match=r"expected \d+ records"):
    _write(tmp_path)
  assert os.listdir(tmp_path) == []


def test_overwrite_is_explicit_and_leaves_other_splits(tmp_path):
  _write(tmp_path, 10, 2)
  other = _write(tmp_path, 10, 2, "train-clean")
  with pytest.raises(errors.DataError, match="there already"):
    _write(tmp_path)
  with records.Writer(tmp_path, "train", 1, overwrite=True) as writer:
    writer.write("a", b"1")
  assert records.load(tmp_path, "train", full=True).records == 1
  assert records.load(tmp_path, "train-clean", full=True) == other
  assert sorted(n for n in os.listdir(tmp_path) if n.startswith("train-0")) == [
      "train-00000-of-00001.tfrecord"]


def test_empty_shards_are_fine_where_the_manifest_says_so(tmp_path):
  _write(tmp_path, 2, 16)
  assert records.load(tmp_path, "train", full=True).records == 2


def _fault(path, kind):
  data = path.read_bytes()
  (first, length), *_ = framing.walk(path)
  second = 12 + length + 4
  huge = struct.pack("<Q", 1 << 36)
  changes = {
      "empty": b"",
      "cut in header": data[: second + 5],
      "cut in data": data[:-20],
      "trailing bytes": data + b"12345678",
      "length checksum": data[:second] + b"\x01" + data[second + 1 :],
      "huge length": huge + struct.pack("<I", framing.masked_crc(huge)) + data[12:],
      "length past end": framing.header(1 << 31) + data[12:],
      "gzip": gzip.compress(data),
      "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
      "jpeg": b"\xff\xd8\xff\xe0" + data[4:],
      "html": b"<!DOCTYPE html><html>404</html>",
  }
  path.write_bytes(changes[kind])


@pytest.mark.parametrize("kind, text", [
    ("empty", "empty shard"),
    ("cut in header", "record 1 @ byte .*5 bytes of a header"),
    ("cut in data", "passes the end"),
    ("trailing bytes", "8 bytes of a header"),
    ("length checksum", "record 1 @ byte .*framing lost"),
    ("huge length", "record of 68719476736 bytes passes the end"),
    ("length past end", "record of 2147483648 bytes passes the end"),
    ("gzip", "gzip"),
    ("lfs", "git-LFS pointer"),
    ("jpeg", "a JPEG picture"),
    ("html", "HTML"),
])
def test_every_framing_fault_is_found_at_start(tmp_path, kind, text):
  record_set = _write(tmp_path)
  path = tmp_path / record_set.shards[1].file
  _fault(path, kind)
  same_size = path.stat().st_size == record_set.shards[1].bytes
  with pytest.raises(errors.DataError, match=f"(?s){record_set.shards[1].file}.*{text}.*manifest"):
    records.load(tmp_path, "train", full=same_size)
  with pytest.raises(errors.DataError, match=text):
    records.load(tmp_path, "train", full=True)


def test_a_flipped_byte_is_found_with_its_record(tmp_path):
  record_set = _write(tmp_path)
  path = tmp_path / record_set.shards[0].file
  frames = list(framing.walk(path))
  data = bytearray(path.read_bytes())
  data[frames[2][0] + 14] ^= 1
  path.write_bytes(data)
  records.load(tmp_path, "train")
  follow = len(frames) - 3
  text = f"record 2 @ byte {frames[2][0]} fails its checksum, {follow} records follow"
  with pytest.raises(errors.DataError, match=text):
    records.load(tmp_path, "train", full=True)
  assert text in str(records.diagnose(record_set))


def test_missing_shards_are_listed(tmp_path):
  record_set = _write(tmp_path, shards=9)
  for shard in record_set.shards[:7]:
    (tmp_path / shard.file).unlink()
  with pytest.raises(errors.DataError, match="7 of 9 shards missing") as caught:
    records.load(tmp_path, "train")
  assert str(caught.value).count(".tfrecord") == 5


def test_a_missing_manifest_names_the_splits_there(tmp_path):
  _write(tmp_path, split="val")
  with pytest.raises(errors.DataError, match=r"no manifest-train.json .*splits: val"):
    records.load(tmp_path, "train")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 9}', "\0", '{"version": 1, '
    '"split": "train", "records": 1, "shards": [{"file": "../x", "records": 1, "bytes": 1, '
    '"sha256": ""}]}'])
def test_a_bad_manifest_is_one_clear_error(tmp_path, content):
  (tmp_path / "manifest-train.json").write_text(content)
  with pytest.raises(errors.DataError, match="bad-manifest.*manifest-train.json"):
    records.load(tmp_path, "train")


def test_a_killed_writer_leaves_no_final_name(tmp_path):
  program = f"""
import os
from jft_reps.data import records
with records.Writer({str(tmp_path)!r}, "train", 2) as writer:
  writer.write("a", b"1")
  os._exit(9)
"""
  subprocess.run([sys.executable, "-c", program], check=False)
  assert not [n for n in os.listdir(tmp_path) if not n.startswith(".")]
