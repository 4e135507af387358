"""Shards as units of work: any order, any process, after any kill, the same bytes."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jft_reps import errors
from jft_reps.data.building import build, encoding, identical, one_shard, packing, plan, runners
from jft_reps.data.records import label_map, reasons, spills, writing
from jft_reps.data.sources import folder, raw
from tests.data import picture_files as files


def tree(root, count=40):
  """Pictures of two labels, three of which have the same bytes and two of which are broken."""
  for i in range(count):
    path = root / ("cat" if i % 2 else "dog") / f"{i}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(files.encoded(i if i > 2 else 0, 40, 50))
  (root / "cat" / "cut.jpg").write_bytes(files.encoded(1)[:-50])
  (root / "dog" / "empty.jpg").write_bytes(b"")
  return root


def content(directory):
  """SHA-256 of every file, by name."""
  return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
          for path in sorted(pathlib.Path(directory).iterdir()) if path.is_file()}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
  return tree(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
  """What an uninterrupted build in one process writes."""
  out = tmp_path_factory.mktemp("whole") / "out"
  build.build(lambda: folder.read(pictures), out, "train", 8)
  return content(out)


@pytest.mark.parametrize("runner", ["processes", "backwards"])
def test_order_and_processes_change_no_byte(pictures, whole, tmp_path, runner):
  def backwards(job, indices, report):
    return runners.here(job, list(reversed(indices)), report)

  how = {"processes": 2} if runner == "processes" else {"runner": backwards}
  build.build(lambda: folder.read(pictures), tmp_path / "out", "train", 8, **how)
  assert content(tmp_path / "out") == whole


def test_a_build_goes_on_after_shards_that_are_made(pictures, whole, tmp_path):
  out, made = tmp_path / "out", []

  def killed(job, indices, report):
    for i, counted in enumerate(runners.here(job, indices, report)):
      if i == 5:
        raise KeyboardInterrupt
      yield counted

  def counting(job, indices, report):
    made.extend(indices)
    return runners.here(job, indices, report)

  with pytest.raises(KeyboardInterrupt):
    build.build(lambda: folder.read(pictures), out, "train", 8, runner=killed)
  assert not [name for name in os.listdir(out) if name.endswith(".tfrecord")]
  again = lambda: pytest.fail("listed again")
  calls = []
  summary = build.build(again, out, "train", 8, runner=counting,
                        progress=lambda *call: calls.append(call))
  assert made == [6, 7] and content(out) == whole
  assert calls[-1] == (42, 42) and calls[0][0] > 20 and summary.pictures == 40


@pytest.mark.parametrize("change", [
    {"shards": 4}, {"store_size": 32}, {"identity": "another list"}, {"labels": ["dog", "cat"]}])
def test_a_build_of_other_arguments_starts_anew(pictures, tmp_path, change):
  def killed(job, indices, report):
    raise KeyboardInterrupt
    yield

  listed = lambda: folder.read(pictures)
  with pytest.raises(KeyboardInterrupt):
    build.build(listed, tmp_path / "out", "train", shards=8, runner=killed)
  build.build(listed, tmp_path / "fresh", "train", **{"shards": 8, **change})
  build.build(listed, tmp_path / "out", "train", **{"shards": 8, **change})
  assert content(tmp_path / "out") == content(tmp_path / "fresh")


@pytest.mark.parametrize("moved", [0, 3, 8])
def test_a_kill_while_shards_get_their_names_loses_nothing(
    pictures, whole, tmp_path, monkeypatch, moved):
  out, replace = tmp_path / "out", os.replace
  left = [moved]

  def counted_replace(one, two):
    if str(two).endswith(".tfrecord"):
      if not left[0]:
        raise KeyboardInterrupt
      left[0] -= 1
    if "manifest-" in str(two) and moved == 8:
      raise KeyboardInterrupt
    return replace(one, two)

  monkeypatch.setattr(os, "replace", counted_replace)
  with pytest.raises(KeyboardInterrupt):
    build.build(lambda: folder.read(pictures), out, "train", 8)
  monkeypatch.undo()
  assert not (out / "manifest-train.json").exists()
  build.build(lambda: pytest.fail("listed again"), out, "train", 8)
  assert content(out) == whole


def test_a_kill_after_the_manifest_is_no_error_of_the_next_build(pictures, whole, tmp_path,
                                                                 monkeypatch):
  out = tmp_path / "out"

  def killed(*_, **__):
    raise KeyboardInterrupt

  monkeypatch.setattr(plan, "_remove", killed)
  with pytest.raises(KeyboardInterrupt):
    build.build(lambda: folder.read(pictures), out, "train", 8)
  monkeypatch.undo()
  assert (out / "manifest-train.json").exists()
  build.build(lambda: pytest.fail("listed again"), out, "train", 8)
  assert content(out) == whole
  with pytest.raises(errors.DataError, match="split-exists"):
    build.build(lambda: folder.read(pictures), out, "train", 8)


def test_a_full_disk_leaves_what_is_done_and_bad_data_leave_nothing(pictures, whole, tmp_path):
  out = tmp_path / "out"

  def full(job, indices, report):
    yield from runners.here(job, indices[:4], report)
    raise errors.StorageError("shard-not-written", "shard", "no space")

  with pytest.raises(errors.StorageError):
    build.build(lambda: folder.read(pictures), out, "train", 8, runner=full)
  build.build(lambda: pytest.fail("listed again"), out, "train", 8)
  assert content(out) == whole
  twice = [*folder.read(pictures), *folder.read(pictures)]
  with pytest.raises(errors.DataError, match="duplicate-id"):
    build.build(lambda: twice, tmp_path / "bad", "train", 8)
  assert not (tmp_path / "bad").exists() or not os.listdir(tmp_path / "bad")


def test_two_builds_of_one_split_do_not_meet(pictures, tmp_path):
  def other(job, indices, report):
    with pytest.raises(errors.DataError, match="build-running"):
      build.build(lambda: folder.read(pictures), tmp_path / "out", "train", 8)
    return runners.here(job, indices, report)

  build.build(lambda: folder.read(pictures), tmp_path / "out", "train", 8, runner=other)


def test_copies_and_placeholders_are_told(pictures, tmp_path):
  lost = hashlib.sha256((pictures / "cat" / "7.jpg").read_bytes()).hexdigest()
  summary = build.build(lambda: folder.read(pictures), tmp_path / "out", "train", 8,
                        placeholders={lost: "no longer available"})
  assert summary.copies == 2
  listed = (tmp_path / "out" / "identical-train.tsv").read_text()
  assert listed == "cat/1.jpg\tdog/0.jpg\tdog/2.jpg\n"
  assert summary.placeholders == {"no longer available": 1}
  assert summary.dropped == {"decode_error": 1, "empty_image": 1, "placeholder": 1}
  stored = writing.load(tmp_path / "out", "train", full=True)
  assert stored.records == summary.pictures == 39


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 999)), unique=True, max_size=60),
       st.integers(1, 7), st.integers(2, 5))
def test_copies_are_the_groups_of_equal_digests(tmp_path_factory, pairs, parts, at_once):
  directory = tmp_path_factory.mktemp("digests")
  groups = {}
  for digest, name in pairs:
    groups.setdefault(digest, []).append(f"p{name}")
  paths = [str(directory / f"part{i}") for i in range(parts)]
  for i, path in enumerate(paths):
    lines = sorted(f"{d:04x}\tp{n}\n" for d, n in pairs[i::parts])
    pathlib.Path(path).write_text("".join(lines))
  old, identical._AT_ONCE = identical._AT_ONCE, at_once
  try:
    copies = identical.report(paths, str(directory / "identical.tsv"))
  finally:
    identical._AT_ONCE = old
  expected = sorted("\t".join(sorted(ids)) for ids in groups.values() if len(ids) > 1)
  found = directory / "identical.tsv"
  assert (sorted(found.read_text().splitlines()) if found.exists() else []) == expected
  assert copies == sum(len(ids) - 1 for ids in groups.values())


def test_sources_survive_packing():
  points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
  objects = raw.Objects(
      np.array([[0.5, 1, 2, 3], [1, 1, 4, 4]], np.float32), ("a", "b"), (False, True),
      (True, False), (float("nan"), 2.0), (10, 20), True, True, points)
  outline = raw.Outline(3, "here", (np.array([0.0, 1, 2, 3, 4, 5]),))
  runs = raw.Outline(1, "there", counts=np.array([5, 3, 2]), size=(2, 5))
  source = raw.Source(
      "caf\u00e9 \udcff", "/a/b.jpg", ("x", "y"), (0.25, 1.0), "list:3", b"\x00\xffdata", objects,
      raw.Mask("", (outline, runs), (2, 5)), ("z",))
  found = packing.unpack(packing.pack(source))
  for name in ("picture_id", "path", "labels", "confidences", "where", "data", "absent"):
    assert getattr(found, name) == getattr(source, name)
  np.testing.assert_array_equal(found.objects.boxes, objects.boxes)
  np.testing.assert_array_equal(found.objects.keypoints, points)
  np.testing.assert_equal(found.objects.area, objects.area)
  for name in ("labels", "crowd", "difficult", "size", "normalised", "one_based"):
    assert getattr(found.objects, name) == getattr(objects, name)
  assert found.mask.size == (2, 5) and found.mask.outlines[1].size == (2, 5)
  np.testing.assert_array_equal(found.mask.outlines[0].polygons[0], outline.polygons[0])
  np.testing.assert_array_equal(found.mask.outlines[1].counts, runs.counts)
  bare = packing.unpack(packing.pack(raw.Source("a", "a", (), (), "a")))
  assert bare.data is None and bare.objects is None and bare.mask is None


def test_values_come_back_in_the_order_of_their_hashes(tmp_path, monkeypatch):
  monkeypatch.setattr(spills, "_BUFFER", 200)
  waiting, names = spills.Spills(str(tmp_path), 3), [f"p{i}" for i in range(50)]
  for name in names:
    waiting.add(name, name.encode() * 3)
  waiting.flush()
  found = []
  for shard in range(3):
    path = spills.path_of(str(tmp_path), shard)
    found += [v.decode() for v in spills.values(path, spills.entries(path, "here"))]
  assert found == [name * 3 for name in sorted(names, key=writing.unit_hash)]


KILLS = """
import os, random, signal, sys, time
import tensorflow
from jft_reps.data.building import build, one_shard
from jft_reps.data.sources import folder

pictures, out = sys.argv[1:]
draw, kills, whole = random.Random(0), 0, False
while not whole:  # the last build is not killed
  child = os.fork()  # TensorFlow is imported here and used in children alone
  if not child:
    build.build(lambda: folder.read(pictures), out, "train", 8, overwrite=True)
    os._exit(0)
  time.sleep(draw.uniform(0, 0.6))
  if kills < 20:
    os.kill(child, signal.SIGKILL)
  _, status = os.waitpid(child, 0)
  if os.WIFSIGNALED(status):
    kills += 1
  elif status:
    sys.exit(status)
  else:
    whole = kills == 20
print(kills)
"""


@pytest.mark.slow
def test_twenty_kills_change_no_byte(tmp_path):
  pictures = tree(tmp_path / "in", 400)
  build.build(lambda: folder.read(pictures), tmp_path / "whole", "train", 8)
  command = [sys.executable, "-c", KILLS, str(pictures), str(tmp_path / "out")]
  done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300,
                        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
  assert done.stdout.strip() == "20", done.stderr[-2000:]
  assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.mark.slow
def test_apache_beam_makes_the_same_shards(pictures, whole, tmp_path):
  pytest.importorskip("apache_beam")
  runner = runners.beam(
      ["--runner=DirectRunner", "--direct_running_mode=multi_processing",
       "--direct_num_workers=2"])
  build.build(lambda: folder.read(pictures), tmp_path / "out", "train", 8, runner=runner)
  assert content(tmp_path / "out") == whole
  broken = tmp_path / "broken"
  (broken / "cat").mkdir(parents=True)
  for i in range(120):
    (broken / "cat" / f"{i}.jpg").write_bytes(b"\\xff\\xd8")
  with pytest.raises(errors.DataError, match="too-many-bad-pictures.*listed in"):
    build.build(lambda: folder.read(broken), tmp_path / "bad", "train", 1, runner=runner)


def test_a_worker_that_does_not_see_the_folder_is_an_error(pictures, tmp_path):
  def blind(job, indices, report):
    for index in indices:
      raise one_shard.failure(job, index)
    yield

  with pytest.raises(errors.DataError, match="shard-lost.*Do all workers see this folder"):
    build.build(lambda: folder.read(pictures), tmp_path / "out", "train", 8, runner=blind)
  assert (tmp_path / "out" / ".train.build" / "plan.json").exists()


def test_listing_says_how_far_it_is(tmp_path, monkeypatch):
  monkeypatch.setattr(plan, "_EVERY", 10)
  said = []
  build.build(lambda: folder.read(tree(tmp_path / "in", 23)), tmp_path / "out", "train", 2,
              listed=said.append)
  assert said == [10, 20]


def test_a_kill_while_labels_are_written_leaves_no_half_file(
    pictures, whole, tmp_path, monkeypatch):
  def killed(*_):
    raise KeyboardInterrupt

  out, real = tmp_path / "out", os.replace
  monkeypatch.setattr(label_map.os, "replace", lambda a, b: killed() if str(b).endswith(
      "labels.txt") else real(a, b))
  with pytest.raises(KeyboardInterrupt):
    build.build(lambda: folder.read(pictures), out, "train", 8)
  monkeypatch.undo()
  assert not list(out.glob("labels.txt*"))
  build.build(lambda: folder.read(pictures), out, "train", 8)
  assert content(out) == whole


def test_workers_end_soon_after_their_chief_was_killed(tmp_path):
  pictures = tree(tmp_path / "in", 2000)
  program = (
      "from jft_reps.data.building import build\nfrom jft_reps.data.sources import folder\n"
      f"build.build(lambda: folder.read({str(pictures)!r}), {str(tmp_path / 'out')!r}, 'train', "
      "64, store_size=600, processes=3)\n")
  chief = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL,
                           env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
  made = lambda: list((tmp_path / "out" / ".train.build").glob("counts-*"))
  deadline = time.monotonic() + 60
  while len(made()) < 6 and time.monotonic() < deadline:
    time.sleep(0.05)
  children = descendants(chief.pid)
  chief.kill()
  chief.wait()
  assert len(children) >= 2
  while any(map(alive, children)) and time.monotonic() < deadline:
    time.sleep(0.1)
  assert not any(map(alive, children))


def alive(pid):
  try:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
  except OSError:
    return False


def descendants(pid):
  """Processes below one."""
  found = []
  for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
    try:
      if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
        found += [int(path.parent.name), *descendants(int(path.parent.name))]
    except OSError:
      pass
  return found


def test_a_folder_whose_plan_is_gone_counts_for_nothing(pictures, whole, tmp_path, monkeypatch):
  """A kill while the folder of a finished build is removed must not touch the set."""
  out = tmp_path / "out"
  monkeypatch.setattr(plan.shutil, "rmtree", lambda *_, **__: None)
  build.build(lambda: folder.read(pictures), out, "train", 8)
  (out / ".train.build" / "counts-00003").unlink()
  monkeypatch.undo()
  with pytest.raises(errors.DataError, match="split-exists"):
    build.build(lambda: folder.read(pictures), out, "train", 8)
  assert content(out) == whole
  build.build(lambda: folder.read(pictures), out, "train", 8, overwrite=True)
  assert content(out) == whole


@pytest.mark.parametrize("names, message", [
    ([" ", "cat"], "bad-label"), ([" dog", "dog"], "duplicate-label"), (["a\nb"], "bad-label"),
    (["caf\udce9"], "bad-label")])
def test_labels_that_are_no_lines_are_refused_while_listing(tmp_path, names, message):
  sources = [raw.Source(f"p{i}", "p", (name,), (1.0,), f"list:{i}") for i, name in enumerate(names)]
  with pytest.raises(errors.DataError, match=message):
    build.build(lambda: sources, tmp_path / "out", "train", 1)
  assert not (tmp_path / "out").exists()


def test_overwriting_the_only_split_may_change_its_labels(pictures, tmp_path):
  out = tmp_path / "out"
  build.build(lambda: folder.read(pictures), out, "train", 2)
  build.build(lambda: folder.read(pictures), out, "train", 2, ["emu", "dog", "cat"], overwrite=True)
  assert label_map.labels_of(writing.load(out, "train", full=True)) == ("emu", "dog", "cat")
  build.build(lambda: folder.read(pictures), out, "val", 2, ["emu", "dog", "cat"])
  with pytest.raises(errors.DataError, match="labels-differ"):
    build.build(lambda: folder.read(pictures), out, "train", 2, overwrite=True)


def test_a_build_that_fails_leaves_the_list_of_the_set_it_would_replace(pictures, tmp_path):
  out, broken = tmp_path / "out", tmp_path / "broken" / "cat"
  broken.mkdir(parents=True)
  for i in range(120):
    (broken / f"{i}.jpg").write_bytes(b"\xff\xd8\xff")
  build.build(lambda: folder.read(pictures), out, "train", 2)
  before = content(out)
  with pytest.raises(errors.DataError, match="listed in .*quarantine-train.new.tsv"):
    build.build(lambda: folder.read(broken.parent), out, "train", 1, overwrite=True)
  after = content(out)
  assert after.pop("quarantine-train.new.tsv") and after == before
  build.build(lambda: folder.read(pictures), out, "train", 2, overwrite=True)
  after = content(out)
  after.pop("quarantine-train.new.tsv", None)
  assert after == before


def test_a_file_of_many_scans_is_not_decoded():
  data = files.encoded(1, 40, 50, progressive=True)
  at = data.rindex(b"\xff\xda")
  scan = data[at:-2]
  assert encoding.encode(data[:at] + scan * 3 + data[-2:]).reason < 0
  assert encoding.encode(data[:at] + scan * 300 + data[-2:]).reason == reasons.DECODE_ERROR
