"""The toy world: reproducible, hierarchical, held out soundly, with exact boxes and masks."""

from __future__ import annotations

import collections
import hashlib
import pathlib
import random
import subprocess
import sys

import cv2
import numpy as np
import pytest

from jft_reps import errors
from jft_reps.data.hierarchy import readers
from jft_reps.toy_world import backgrounds, figures, rendering, scenes, sheet, textures, vocabulary
from jft_reps.toy_world import world as toy_world
from jft_reps.toy_world.world import SPLITS, ToyWorld

WORLD = ToyWorld()


def fingerprint(world: ToyWorld, split: str, index: int) -> str:
  picture = world.picture(split, index)
  seen = hashlib.sha256(picture.image.tobytes())
  boxes = [thing.box for thing in picture.objects]
  seen.update(repr((picture.id, picture.labels, picture.true_labels, boxes)).encode())
  return seen.hexdigest()


# Reproducibility.


def test_pictures_do_not_depend_on_order_or_process():
  keys = [(split, index) for split in SPLITS for index in (0, 3, 1_000_003)]
  forwards = {key: fingerprint(ToyWorld(seed=5), *key) for key in keys}
  shuffled = random.Random(1).sample(keys, len(keys))
  world = ToyWorld(seed=5)
  assert {key: fingerprint(world, *key) for key in shuffled} == forwards
  code = (
      "import sys; sys.path[:0] = ['.', 'tests/toy_world']\n"
      "import test_world as t\n"
      f"print([t.fingerprint(t.ToyWorld(seed=5), *key) for key in {shuffled!r}])\n"
      "assert 'tensorflow' not in sys.modules\n")
  root = pathlib.Path(__file__).resolve().parents[2]
  run = subprocess.run(
      [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
  assert run.stdout.strip() == repr([forwards[key] for key in shuffled])


def test_pictures_differ_between_indices_splits_and_seeds():
  seen = [fingerprint(ToyWorld(seed=s), split, i)
          for s in (0, 1) for split in SPLITS for i in range(4)]
  images = {ToyWorld(seed=s).picture(split, i).image.tobytes()
            for s in (0, 1) for split in SPLITS for i in range(4)}
  assert len(set(seen)) == len(images) == len(seen)


def test_the_size_changes_nothing_but_the_resolution():
  near = []
  for index in range(40):
    small, large = (ToyWorld(size=s).picture("train", index) for s in (96, 192))
    assert small.labels == large.labels and small.leaves == large.leaves
    shrunk = cv2.resize(large.image, (96, 96), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(shrunk - small.image).mean() < 8
    near += [np.allclose(one.box, two.box, atol=2.5 / 96)
             for one, two in zip(small.objects, large.objects)]
  # Slivers behind another object and the thinnest parts may show at one resolution only.
  assert np.mean(near) > 0.9


# The label trees.


def test_the_tree_has_six_levels_and_over_three_hundred_classes(tmp_path):
  known = WORLD.vocabulary
  assert len(known.ids) == len(set(known.ids)) == len(known.names) == 540 >= 300
  parents = dict(known.hierarchy_edges)
  assert [child for child, _ in known.hierarchy_edges] == list(known.ids)

  def depth(node):
    return 1 + depth(parents[node]) if parents[node] else 1

  assert {depth(known.ids[leaf]) for leaf in known.leaves} == {6}
  childless = set(known.ids) - set(parents.values())
  assert {known.ids[leaf] for leaf in known.leaves} == childless
  assert all(p < c for c, p in enumerate(known.parents))
  path = tmp_path / "tree.csv"
  WORLD.write_hierarchy(path)
  tree = readers.read(path, "edges", header=True)
  assert tree.ids == known.ids
  assert tree.stats()["max_depth"] == 5 and len(tree.leaves) == len(known.leaves)


def test_neither_texture_nor_colour_names_a_leaf_or_a_family():
  known = WORLD.vocabulary
  families = collections.defaultdict(set)
  looks = collections.Counter()
  for leaf, look in zip(known.leaves, known.looks):
    family = known.ids[leaf].split("/")[2]
    for part in (look.texture, look.colour):
      families[part].add(family)
    looks[(look.texture, look.colour)] += 1
  assert set(families) == {*textures.SEEN, *vocabulary.COLOURS}
  assert min(map(len, families.values())) >= 6
  assert len(set(known.looks)) == len(known.leaves)
  assert np.mean(list(looks.values())) > 3


def test_held_out_classes_share_nothing_with_those_pre_trained_on():
  seen, held = WORLD.vocabulary, WORLD.transfer
  assert not set(seen.ids) & set(held.ids)
  assert not {x.shape for x in seen.looks} & {x.shape for x in held.looks}
  assert not {x.texture for x in seen.looks} & {x.texture for x in held.looks}

  def shapes(known):
    found = collections.defaultdict(set)
    for leaf, look in zip(known.leaves, known.looks):
      found[known.ids[leaf].split("/")[2]].add(look.shape)
    return found

  mine, theirs = shapes(seen), shapes(held)
  assert set(theirs) - set(mine) == {"crawler"} and len(theirs["crawler"]) >= 3
  assert all(len(theirs[family]) >= 2 and len(mine[family]) >= 3 for family in mine)
  assert set(mine["biped"] | theirs["biped"]) == set(figures.KINDS)
  for split, shown in SPLITS.items():
    known, tree = WORLD.vocabulary_of(split), held if shown.held_out else seen
    wanted = {tree.ids[leaf] for leaf in tree.leaves}
    if shown.shapes:
      wanted = {leaf.rsplit("/", 2)[0] for leaf in wanted}
    assert {known.ids[leaf] for leaf in known.leaves} == wanted
    for index in range(50):
      picture = WORLD.picture(split, index)
      leaves = picture.leaves
      assert set(leaves) <= set(known.leaves)
      assert not shown.jointed or all("/biped/" in known.ids[leaf] for leaf in leaves)
      assert not shown.single or (len(leaves) == 1 and picture.labels == leaves)


# Boxes, masks, keypoints.


def test_classes_of_boxes_are_held_out_shapes_whatever_their_look():
  world = ToyWorld(seed=1, size=32)
  shapes = world.vocabulary_of("boxes_train")
  assert len(shapes.ids) == 31 and set(shapes.ids) <= set(world.transfer.ids)
  looks = {}
  for i in range(300):
    picture = world.picture("boxes_train", i)
    assert picture.labels == tuple(sorted(set(picture.leaves)))
    for label, look in zip(picture.leaves, picture._looks):
      assert shapes.ids[label].rpartition("/")[2] == look.shape
      looks.setdefault(label, set()).add((look.texture, look.colour))
  assert len(looks) == 31 and all(len(seen) > 1 for seen in looks.values())


def test_boxes_are_the_extents_of_the_masks_and_masks_are_where_the_objects_are():
  size = WORLD.size
  seen = 0
  for index in range(60):
    picture = WORLD.picture("train", index)
    total = np.zeros((size, size), int)
    for thing in picture.objects:
      ys, xs = np.nonzero(thing.mask)
      extent = (ys.min() / size, xs.min() / size, (ys.max() + 1) / size, (xs.max() + 1) / size)
      assert thing.box == pytest.approx(extent, abs=1e-12)
      assert max(extent[2] - extent[0], extent[3] - extent[1]) > 0.2
      total += thing.mask
      seen += 1
    assert total.max() == 1
    plain = backgrounds.background(picture._scene.background, size)
    changed = np.abs(picture.image.astype(int) - plain).sum(2)
    near = cv2.dilate((total > 0).astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    assert not changed[~near].any()
    assert (changed[total > 0] > 12).mean() > 0.9
  assert seen > 100


def test_no_object_is_hidden_and_all_radii_are_at_least_fifteen_percent():
  for index in range(800):
    picture = WORLD.picture("fasteval", index)
    assert 1 <= len(picture.leaves) <= 4
    assert all(numbers[2] >= 0.15 for numbers in picture._scene.objects)
    assert all(thing.mask.sum() >= 60 for thing in picture.objects)


def test_keypoints_lie_inside_and_on_their_figure():
  world = ToyWorld(size=128)
  figures_seen = hidden = 0
  for index in range(80):
    for thing in world.picture("figures_train", index).objects:
      points = thing.keypoints
      assert points.shape == (len(figures.KEYPOINTS), 3) and points.dtype == np.float32
      assert ((points[:, :2] > 0) & (points[:, :2] < 1)).all()
      reach = cv2.dilate(thing.mask, np.ones((5, 5), np.uint8))
      for y, x, visible in points:
        if visible == 2:
          assert reach[int(y * 128), int(x * 128)]
        hidden += visible == 1
      left, right = (np.array([points[pair[side]] for pair in figures.MIRROR_PAIRS[:1]])
                     for side in (0, 1))
      assert (left[:, 1] > right[:, 1]).all()  # A figure faces the viewer.
      figures_seen += 1
  assert figures_seen > 100 and 0 < hidden < 0.1 * 14 * figures_seen


def test_a_mirrored_figure_has_left_and_right_exchanged():
  numbers = np.random.default_rng(3).random(24)
  numbers[:7] = 0.5, 0.5, 0.3, 0.9, 0.5, 0.5, 0.5
  mirrored = numbers.copy()
  mirrored[3] = 0.1
  for kind in figures.KINDS:
    look = vocabulary.Look(kind, "plain", "red")
    above = np.zeros((256, 256), bool)
    placed = [scenes.place(look, n) for n in (numbers, mirrored)]
    one, two = (toy_world._keypoints(item, above) for item in placed)
    # Both are centred where their own extents allow, so compare up to that shift.
    flipped = figures.mirror(one)
    shift = (two - flipped)[:, :2].mean(0)
    assert np.abs(shift).max() < 0.05
    assert np.allclose(two[:, :2], flipped[:, :2] + shift, atol=1e-6)
    assert np.allclose(figures.mirror(figures.mirror(one)), one, atol=1e-6)
    masks = []
    for item in placed:
      patch = rendering.draw(item, 256)
      masks.append(patch.covered)
    width = min(masks[0].shape[1], masks[1].shape[1]) - 2
    overlap = max(
        (masks[0][:, ::-1][:, a : a + width] & masks[1][:, b : b + width]).sum()
        for a in range(3) for b in range(3))
    assert overlap > 0.93 * masks[0].sum()


def test_the_skeleton_names_every_keypoint_and_pairs_sides():
  assert {k for bone in figures.SKELETON for k in bone} == set(range(len(figures.KEYPOINTS)))
  for left, right in figures.MIRROR_PAIRS:
    assert figures.KEYPOINTS[left].replace("left", "right") == figures.KEYPOINTS[right]


# Mistakes of the caller, and the sheet.


@pytest.mark.parametrize("arguments", [
    {"seed": -1}, {"size": 8}, {"wrong": 1.5}, {"missing": -0.1}, {"coarse": float("nan")},
    {"zipf": -1}])
def test_arguments_out_of_range_are_named(arguments):
  with pytest.raises(errors.ConfigError, match=next(iter(arguments))):
    ToyWorld(**arguments)


def test_unknown_splits_and_indices_are_named():
  with pytest.raises(errors.ConfigError, match="tarin"):
    WORLD.picture("tarin", 0)
  with pytest.raises(errors.ConfigError, match="index"):
    WORLD.picture("train", -1)
  with pytest.raises(errors.StorageError, match="hierarchy-not-written"):
    WORLD.write_hierarchy("/no/such/folder/tree.csv")


def test_the_contact_sheet_shows_the_pictures():
  world = ToyWorld(size=48)
  shown = sheet.contact_sheet(world, rows=3, columns=4)
  assert shown.dtype == np.uint8 and shown.shape[1:] == (4 * 56 + 8, 3)
  assert np.array_equal(shown[24:72, 8:56], world.picture("fasteval", 0).image)
