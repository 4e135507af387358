"""The program finds copies in folders, records and indexes, and leaves lists that others read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageOps

from jft_reps.apps import command_line, dedup
from jft_reps.toy_world.records import write_records
from jft_reps.toy_world.world import ToyWorld
from jft_reps.workflows import evaluation
from tests.collection.dedup.duplicate_cases import data, scene


def run(*words):
  return command_line.run(dedup.main, ["dedup", "--processes=1", *map(str, words)])


@pytest.fixture
def folders(tmp_path):
  mine, theirs = tmp_path / "eval", tmp_path / "train"
  (mine / "a b").mkdir(parents=True)
  theirs.mkdir()
  for i in range(6):
    (mine / "a b" / f"{i}.jpg").write_bytes(data(scene(i)))
  (theirs / "mirror.jpg").write_bytes(data(ImageOps.mirror(scene(2))))
  (theirs / "small.png").write_bytes(data(scene(4).resize((80, 60)), "PNG"))
  (theirs / "other.jpg").write_bytes(data(scene(50)))
  (theirs / "broken.jpg").write_bytes(b"\xff\xd8\xff")
  (theirs / "grey.png").write_bytes(data(Image.new("L", (40, 40), 99), "PNG"))
  return mine, theirs


def test_lists_of_two_folders(folders, tmp_path, capsys):
  mine, theirs = folders
  assert run(f"--eval={mine}", f"--train={theirs}", f"--output={tmp_path / 'out'}") == 0
  said, out = capsys.readouterr().out, tmp_path / "out"
  assert "2 of 6 evaluation pictures" in said and "1 degenerate, 1 unreadable" in said
  rows = [line.split("\t") for line in (out / "pairs.tsv").read_text().splitlines()]
  assert [row[:2] for row in rows[1:]] == [["a b/2.jpg", "mirror.jpg"], ["a b/4.jpg", "small.png"]]
  assert (out / "train_copies.txt").read_text() == "mirror.jpg\nsmall.png\n"
  assert evaluation._excluded(str(out / "eval_duplicates.txt")) == ("a b/2.jpg", "a b/4.jpg")
  assert (out / "degenerate.txt").read_text() == "train\tgrey.png\n"
  assert (out / "unreadable.txt").read_text().startswith("train\tbroken.jpg\t")
  about = json.loads((out / "summary.json").read_text())
  assert about["groups"] == 2 and about["training"]["pictures"] == 5
  with Image.open(out / "pairs.jpg") as sheet:  # the second pair's left picture
    seen = np.asarray(sheet.convert("RGB"), np.float32)
  assert seen.std() > 20
  assert run(f"--eval={mine}", f"--train={theirs}", f"--output={out}") == 4
  assert "results-exist" in capsys.readouterr().err


def test_indexes_are_used_again_even_without_the_pictures(folders, tmp_path):
  mine, theirs = folders
  first, second = tmp_path / "1", tmp_path / "2"
  run(f"--eval={mine}", f"--train={theirs}", f"--output={first}")
  shutil.rmtree(theirs)
  assert run(f"--eval={mine}", f"--train={first}/index/train,{first}/index/eval",
             f"--output={second}") == 0
  copies = set((second / "train_copies.txt").read_text().split("\n"))
  assert {"mirror.jpg", "small.png", "a b/0.jpg"} <= copies and "other.jpg" not in copies
  assert (second / "pairs.jpg").exists()


def test_a_second_run_leaves_nothing_of_the_first(folders, tmp_path):
  mine, theirs = folders
  out, other = tmp_path / "out", tmp_path / "other"
  other.mkdir()
  (other / "another.jpg").write_bytes(data(scene(70)))
  run(f"--eval={mine}", f"--train={theirs},{other}", f"--output={out}")
  assert (out / "pairs.jpg").exists() and (out / "index" / "train-1").exists()
  assert run(f"--eval={mine}", f"--train={other}", f"--output={out}", "--overwrite") == 0
  assert not (out / "pairs.jpg").exists() and not (out / "index" / "train-1").exists()
  for name in ("train_copies.txt", "eval_duplicates.txt"):
    assert (out / name).read_text() == ""
  # Its own index may be a source.
  assert run(f"--eval={mine}", f"--train={out}/index/eval", f"--output={out}", "--overwrite") == 0
  assert sorted(p.name for p in (out / "index").iterdir()) == ["eval"]
  assert len((out / "train_copies.txt").read_text().splitlines()) == 6


def test_one_id_in_two_sources_is_refused(folders, tmp_path, capsys):
  mine, theirs = folders
  other = tmp_path / "other"
  other.mkdir()
  (other / "small.png").write_bytes(data(scene(70)))
  assert run(f"--eval={mine}", f"--train={theirs},{other}", f"--output={tmp_path / 'out'}") == 2
  err = capsys.readouterr().err
  assert f"error[ids-collide]: small.png: in {theirs} and in {other}" in err
  assert not (tmp_path / "out" / "summary.json").exists()


@pytest.fixture(scope="module")
def records(tmp_path_factory):
  folder = tmp_path_factory.mktemp("records")
  world = ToyWorld(size=48)
  for name, start, count in (("mine", 20, 15), ("theirs", 0, 30)):
    (folder / name).mkdir()
    write_records(world, folder / name, "train", start, count, 2, processes=1)
  return folder


def test_record_sets_by_their_ids(records, tmp_path):
  out = tmp_path / "out"
  assert run(f"--eval=records:{records}/mine/train", f"--train=records:{records}/theirs/train",
             f"--output={out}", "--turned=none") == 0
  same = [line.split("\t")[:2] for line in (out / "pairs.tsv").read_text().splitlines()[1:]]
  both = {i for i, t in same if i == t}
  about = json.loads((out / "summary.json").read_text())
  assert (about["evaluation"]["pictures"], about["training"]["pictures"]) == (15, 30)
  assert len(both) == 10  # pictures 20 to 29 are in both


@pytest.mark.parametrize("words,slug,code", [
    (["--eval=/nowhere", "--train=/nowhere"], "missing-folder", 2),
    (["--eval=records:x", "--train=/nowhere"], "bad-source", 1),
    (["--eval=records:/nowhere/test", "--train=/nowhere"], "", 2),
    (["--train=/nowhere"], "--eval", 1),
    (["--eval=.", "--train=.", "--cosine=2"], "cosine", 1),
])
def test_errors_are_one_line(words, slug, code, tmp_path, capsys):
  assert run(*words, f"--output={tmp_path / 'out'}") == code
  err = capsys.readouterr().err
  assert slug in err and len(err.strip().splitlines()) == 1


def test_a_folder_without_pictures_is_an_error(tmp_path, capsys):
  (tmp_path / "empty").mkdir()
  assert run(f"--eval={tmp_path}/empty", f"--train={tmp_path}/empty", f"--output={tmp_path}/o") == 1
  assert "no-pictures" in capsys.readouterr().err


def test_help_is_short_and_needs_no_tensorflow():
  code = ("import sys; from jft_reps.apps import command_line, dedup\n"
          "try: dedup.main(['dedup', '--help'])\n"
          "except SystemExit: sys.exit('tensorflow' in sys.modules)")
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  assert done.returncode == 0
  done = subprocess.run([sys.executable, "-m", "jft_reps.apps.dedup", "--help"],
                        capture_output=True, text=True)
  assert len(done.stdout.splitlines()) <= 59


@pytest.mark.slow
def test_a_checkpoint_brings_its_network(folders, tmp_path):
  from jft_reps.apps import train
  from tests.apps import tiny_run

  mine, theirs = folders
  assert command_line.run(train.main, tiny_run.arguments(tmp_path / "run")) == 0
  out = tmp_path / "out"
  assert run(f"--eval={mine}", f"--train={theirs}", f"--output={out}",
             f"--checkpoint={tmp_path / 'run'}") == 0
  assert {"mirror.jpg", "small.png"} <= set((out / "train_copies.txt").read_text().split("\n"))
