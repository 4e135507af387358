"""Holding out: by hash, each class its share, copies together, the same whatever the order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from jft_reps.apps import build_records, command_line
from jft_reps.collection import hold_out
from jft_reps.collection.subsets import choice
from jft_reps.data.records import contents, manifest
from jft_reps.data.records.spills import unit_hash
from jft_reps.errors import ConfigError, DataError


def blot(seed: int) -> Image.Image:
  """A picture unlike any other: a few large blots."""
  rng = np.random.default_rng(seed)
  small = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
  return Image.fromarray(small).resize((72, 72), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
  """40 cats and 10 dogs; the pictures of a pair are mirror images of one another."""
  folder = tmp_path_factory.mktemp("pictures")
  for label, count in (("cat", 40), ("dog", 10)):
    (folder / label).mkdir()
    for i in range(count):
      blot(1000 * (label == "dog") + i).save(folder / label / f"{i}.png")
  for i in range(3):
    blot(i).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((80, 64)).save(
        folder / "cat" / f"copy_of_{i}.jpg", quality=80)
  return folder


def build(pictures, output, *more):
  return command_line.run(build_records.main, [
      "build_records", f"--input={pictures}", f"--output={output}", "--shards=3",
      "--hold_out=20%", *more])


def ids(folder, split):
  return {name.decode() for name, _ in choice.pictures(manifest.read(folder, split))}


def test_each_class_gives_its_share_and_copies_stay_together(pictures, tmp_path, capsys):
  assert build(pictures, tmp_path / "r") == 0
  said = capsys.readouterr().out
  train, held_out = ids(tmp_path / "r", "train"), ids(tmp_path / "r", "val")
  assert not train & held_out and train | held_out == ids(tmp_path / "r", "all")
  assert sum(name.startswith("dog/") for name in held_out) == 2
  assert sum(name.startswith("cat/") for name in held_out) in (8, 9)  # of 43, a pair may not fit
  for i in range(3):
    assert (f"cat/{i}.png" in train) == (f"cat/copy_of_{i}.jpg" in train)
  assert "6 near-duplicates" in said and f"val: {len(held_out)} held out" in said
  # Of the dogs, which have no copies, those of the lowest hashes.
  dogs = sorted((name for name in train | held_out if name.startswith("dog/")), key=unit_hash)
  assert set(dogs[:2]) == {name for name in held_out if name.startswith("dog/")}
  # Again, with one more picture: the same ones are held out.
  assert build(pictures, tmp_path / "r", "--overwrite", "--shards=5") == 0
  assert ids(tmp_path / "r", "val") == held_out
  held = contents.read(tmp_path / "r")
  assert (held.pictures, held.evaluation, held.classes) == (len(train), ("val",), ("cat", "dog"))


@pytest.mark.parametrize("text, amount", [("10%", 0.1), ("0.25", 0.25), ("500", 500)])
def test_amounts(text, amount):
  assert hold_out.parse(text) == pytest.approx(amount)


@pytest.mark.parametrize("text", ["0", "110%", "-1", "half", "0%", "1.5", "nan"])
def test_amounts_that_are_none(text):
  with pytest.raises(ConfigError, match="--hold_out"):
    hold_out.parse(text)


def test_groups_stay_whole_and_leave_each_class_something():
  strata = {f"{c}{i}": c == "b" for c, n in (("a", 10), ("b", 3)) for i in range(n)}
  groups = [["a0", "a1", "a2", "a3", "a4", "a5"], *([n] for n in strata if n not in {
      "a0", "a1", "a2", "a3", "a4", "a5"})]
  chosen = hold_out.choose(groups, strata, 0.3)
  assert sum(n.startswith("a") for n in chosen) == 3 and not chosen & set(groups[0])
  assert sum(n.startswith("b") for n in chosen) == 1
  for order in itertools.islice(itertools.permutations(groups), 0, 2000, 331):
    assert hold_out.choose(order, strata, 0.3) == chosen
  assert hold_out.choose([["a"]], {"a": 0}, 0.9) == set()  # of one picture none


def test_too_few_pictures_say_so(tmp_path):
  (tmp_path / "in" / "cat").mkdir(parents=True)
  blot(1).save(tmp_path / "in" / "cat" / "1.png")
  with pytest.raises(DataError, match="hold"):
    build_records.main(["build_records", f"--input={tmp_path / 'in'}",
                        f"--output={tmp_path / 'out'}", "--hold_out=50%"])


def test_the_names_are_taken(pictures, tmp_path):
  with pytest.raises(ConfigError, match="--split"):
    build_records.main(["build_records", f"--input={pictures}", f"--output={tmp_path}",
                        "--hold_out=10%", "--split=val"])
