"""Manifests of sets and subsets: what they say is held against files, and nonsense is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os

import pytest

from jft_reps.data.records import manifest
from jft_reps.data.records.writing import Writer
from jft_reps.errors import DataError


@pytest.fixture
def whole(tmp_path):
  with Writer(tmp_path, "train", 3, {"store_size": 340}) as writer:
    for i in range(40):
      writer.write(f"p{i}", f"p{i}".encode())
  return writer.record_set


BITS = bytes([0b10100000, 0b11000000])


def _indexed(whole):
  """Records 0 and 2 of the first shard, 0 and 1 of the second."""
  (one, two), directory = whole.shards[:2], whole.directory
  with open(os.path.join(directory, "index-part.bin"), "wb") as file:
    file.write(BITS)
  found = manifest.RecordSet(
      directory, "part",
      (dataclasses.replace(one, use=3, pictures=2), dataclasses.replace(two, use=2, pictures=2)),
      {"subset": {"of": "train", "base": "train", "below": 0.5, "pictures": 4}},
      "index-part.bin", hashlib.sha256(BITS).hexdigest())
  manifest.write(found)
  return found


def _changed(found, change):
  """Rewrites the manifest after `change(content)`."""
  path = manifest.path_of(found.directory, found.split)
  with open(path) as file:
    content = json.load(file)
  change(content)
  with open(path, "w") as file:
    json.dump(content, file)


def test_a_whole_set_says_what_it_said_before_there_were_subsets(whole):
  with open(manifest.path_of(whole.directory, "train")) as file:
    content = json.load(file)
  assert set(content) == {"version", "split", "records", "hash", "shards", "metadata"}
  assert all(set(s) == {"file", "records", "bytes", "sha256"} for s in content["shards"])
  found = manifest.load(whole.directory, "train", full=True)
  assert found == whole and found.records == 40 and found.index is None
  assert [s.use for s in found.shards] == [s.records for s in found.shards]


def test_a_subset_reads_back_and_counts_its_own_pictures(whole):
  found = _indexed(whole)
  assert manifest.load(whole.directory, "part", full=True) == found and found.records == 4
  assert found.bit_index.bits(0).tolist() == [True, False, True]
  assert found.bit_index.bits(1).tolist() == [True, True]
  with open(manifest.path_of(whole.directory, "part")) as file:
    entry = json.load(file)["shards"]
  assert (entry[0]["use"], entry[0]["pictures"], entry[1]["use"]) == (3, 2, 2)
  assert "pictures" not in entry[1]


@pytest.mark.parametrize("change, text", [
    (lambda c: c["shards"][0].update(use=-1), "shard"),
    (lambda c: c["shards"][0].update(use=10**6), "shard"),
    (lambda c: c["shards"][0].update(pictures=4), "shard"),
    (lambda c: c["shards"][0].update(use=None), "NoneType"),
    (lambda c: c["shards"][0].update(records=2**70, use=2**70, pictures=2**70), "shard"),
    (lambda c: c["shards"][0].update(file="../train.tfrecord"), "shard"),
    (lambda c: c.update(records=5), "5 records"),
    (lambda c: c.update(shards=[]), "no shards"),
    (lambda c: c.pop("index"), "no index"),
    (lambda c: c["index"].update(file="../index.bin"), "index '../index.bin'"),
    (lambda c: c["index"].update(file="/etc/passwd"), "index '/etc/passwd'"),
    (lambda c: c["index"].update(file=".."), "index"),
    (lambda c: c["metadata"]["subset"].update(base="../x"), "subset of"),
    (lambda c: c["metadata"]["subset"].update(below=1.5), "below 1.5"),
    (lambda c: c["metadata"]["subset"].pop("base"), "base"),
    (lambda c: c["metadata"].update(subset=7), "manifest")])
def test_a_manifest_that_cannot_be_is_refused(whole, change, text):
  found = _indexed(whole)
  _changed(found, change)
  with pytest.raises(DataError, match=f"bad-manifest.*{text}"):
    manifest.load(whole.directory, "part")


@pytest.mark.parametrize("data, text", [
    (None, "no-index.*no such file; expected 2 bytes"), (BITS[:1], "1 bytes; expected 2 bytes"),
    (BITS + b"\0", "3 bytes; expected 2"), (b"\xe0\xc0", "3 pictures of a shard; expected 2"),
    (b"\xb0\xc0", "2 pictures of a shard"), (b"\xc0\xc0", "its checksum differs")])
def test_an_index_of_something_else_is_refused(whole, data, text):
  found = _indexed(whole)
  path = os.path.join(whole.directory, found.index)
  os.remove(path)
  if data is not None:
    with open(path, "wb") as file:
      file.write(data)
  with pytest.raises(DataError, match=text):
    manifest.load(whole.directory, "part")


@pytest.mark.parametrize("build", [
    {"shards": 3, "text": "other"}, {"shards": 3, "text": "longer than it was"},
    {"shards": 2, "text": "p"}])
def test_a_subset_of_records_that_were_built_again_is_refused(whole, build):
  _indexed(whole)
  with Writer(whole.directory, "train", build["shards"], overwrite=True) as writer:
    for i in range(40):
      writer.write(f"p{i}", f"{build['text']}{i}".encode())
  with pytest.raises(DataError, match="missing-shards|subset-of-another.*was made of"):
    manifest.load(whole.directory, "part")


def test_a_copy_needs_its_own_shards_and_no_others(whole):
  found = _indexed(whole)
  os.remove(manifest.path_of(whole.directory, "train"))
  os.remove(whole.paths[2])
  assert manifest.load(whole.directory, "part", full=True) == found
  os.remove(whole.paths[1])
  with pytest.raises(DataError, match="1 of 2 shards missing"):
    manifest.load(whole.directory, "part")


def test_sizes_and_checksums_are_of_the_whole_file(whole):
  _indexed(whole)
  path = whole.paths[0]
  with open(path, "rb") as file:
    data = bytearray(file.read())
  data[-6] ^= 1  # behind the records that the subset uses
  with open(path, "wb") as file:
    file.write(data)
  manifest.load(whole.directory, "part")
  with pytest.raises(DataError, match="fails its checksum"):
    manifest.load(whole.directory, "part", full=True)
  os.truncate(path, len(data) - 1)
  with pytest.raises(DataError, match="passes the end"):
    manifest.load(whole.directory, "part")
