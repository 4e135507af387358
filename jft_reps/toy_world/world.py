"""A generated picture world with noisy, long-tailed, hierarchical labels.

Pictures show one to four objects, each a shape with a texture and a colour, on calm clutter. The
split `train` is labelled as the paper reports of JFT-300M (Sun et al. 2017, section 3: about 20 %
of the labels are wrong, recall is unknown, classes have a long tail); all other splits have
complete true labels and leaves drawn uniformly. The transfer splits show held-out shapes in
held-out textures, under a label tree of their own; those called `single` show one object a picture,
for classification, and their classes are the leaves of that tree; those called `boxes` are for
detection and those called `masks` for segmentation, and their classes are its shapes. Those called
`clean` show one object a picture, of the leaves that `train` shows: what ImageNet is to JFT-300M.

A picture is a function of (seed, split, index) alone: any subset comes out the same in any order
and in any process. Noise is laid over stored true labels, so pictures are the same at every noise
level. Nothing here loads TensorFlow.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import os

import numpy as np

from jft_reps import errors
from jft_reps.toy_world import backgrounds, figures, rendering, scenes, splits, vocabulary
from jft_reps.toy_world.vocabulary import Vocabulary

KEYPOINTS = figures.KEYPOINTS
MIRROR_PAIRS = figures.MIRROR_PAIRS
SKELETON = figures.SKELETON
SPLITS = splits.SPLITS

_NOISE_STREAM = 1 << 8
_MAX_INDEX = 1 << 40


class ToyObject:
  """One object of a picture.

  Attributes:
    label: class index of its leaf, in the vocabulary of the picture's split.
    box: (ymin, xmin, ymax, xmax), normalised, of its visible pixels: the exact extent of `mask`.
    keypoints: for jointed figures float32 `[14, 3]` as (y, x, visibility), normalised, in the order
      of `KEYPOINTS`; visibility is 2, or 1 where another object lies over the joint. Else None.
  """

  def __init__(self, label: int, visible: np.ndarray, top: int, left: int, size: int,
               keypoints: np.ndarray | None):
    self.label, self.keypoints = label, keypoints
    self._visible, self._top, self._left, self._size = visible, top, left, size
    rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
    self.box = (
        float(top + rows[0]) / size, float(left + columns[0]) / size,
        float(top + rows[-1] + 1) / size, float(left + columns[-1] + 1) / size)

  @property
  def mask(self) -> np.ndarray:
    """Its visible pixels, uint8 `[size, size]`, 0 or 1."""
    full = np.zeros((self._size, self._size), np.uint8)
    height, width = self._visible.shape
    full[self._top : self._top + height, self._left : self._left + width] = self._visible
    return full


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
  """One picture. Labels are at hand at once; `image` and `objects` are drawn on first use.

  Attributes:
    id: split and index, such as `train-00000012`.
    labels: class indices, ascending. In `train` as noisily annotated, without ancestors; in all
      other splits equal to `true_labels`.
    true_labels: class indices of everything in the picture with all ancestors, ascending.
    leaves: class index of each object's leaf, in the order of `objects`.
  """

  id: str
  labels: tuple[int, ...]
  true_labels: tuple[int, ...]
  leaves: tuple[int, ...]
  _scene: scenes.Scene = dataclasses.field(repr=False)
  _looks: tuple[vocabulary.Look, ...] = dataclasses.field(repr=False)
  _size: int = dataclasses.field(repr=False)

  @property
  def image(self) -> np.ndarray:
    """RGB, uint8 `[size, size, 3]`."""
    return self._drawn[0]

  @property
  def objects(self) -> tuple[ToyObject, ...]:
    """What is in the picture; later objects lie over earlier ones."""
    return self._drawn[1]

  @property
  def segmentation(self) -> np.ndarray:
    """uint8 `[size, size]`: 0 for the background, else 1 + the class index of what is seen."""
    found = np.zeros((self._size, self._size), np.uint8)
    for thing in self.objects:
      found[thing.mask > 0] = 1 + thing.label
    return found

  @functools.cached_property
  def _drawn(self) -> tuple[np.ndarray, tuple[ToyObject, ...]]:
    size = self._size
    image = backgrounds.background(self._scene.background, size)
    placed = [scenes.place(*pair) for pair in zip(self._looks, self._scene.objects)]
    patches = [rendering.draw(item, size) for item in placed]
    above = np.zeros((size, size), bool)
    objects = []
    for patch in patches:
      rendering.shadow(image, patch)
      rendering.blend(image, patch)
    for label, item, patch in reversed(list(zip(self.leaves, placed, patches))):
      covered = patch.covered
      visible = covered & ~above[patch.window]
      keypoints = _keypoints(item, above)
      above[patch.window] |= covered
      objects.append(ToyObject(label, visible, patch.top, patch.left, size, keypoints))
    return image, tuple(reversed(objects))


def _keypoints(placed: rendering.Placed, above: np.ndarray) -> np.ndarray | None:
  if placed.shape.joints is None:
    return None
  size = len(above)
  places = placed.shape.joints @ placed.matrix[:, :2].T + placed.matrix[:, 2]
  pixels = np.clip((places * size).astype(int), 0, size - 1)
  hidden = above[pixels[:, 1], pixels[:, 0]]
  return np.column_stack([places[:, ::-1], np.where(hidden, 1, 2)]).astype(np.float32)


class ToyWorld:
  """The generated world.

  Args:
    seed: of everything but the label trees, which are the same in every world.
    size: side of the square pictures in pixels, at least 32. What is drawn does not depend on it.
    wrong: chance that a training label names another leaf.
    missing: chance that an object of a training picture goes unlabelled (one is always kept).
    coarse: chance that a training label is an ancestor of the leaf instead.
    zipf: exponent of the tail of leaves in `train`: chance ∝ (rank + 3)^-zipf; 0 is uniform.

  Raises:
    ConfigError: an argument is out of its range.
  """

  def __init__(self, seed: int = 0, size: int = 96, wrong: float = 0.2, missing: float = 0.3,
               coarse: float = 0.15, zipf: float = 1.0):
    _within("seed", seed, 0, 2**63 - 1)
    _within("size", size, 32, 4096)
    for name, chance in (("wrong", wrong), ("missing", missing), ("coarse", coarse)):
      _within(name, chance, 0, 1)
    _within("zipf", zipf, 0, 8)
    self.seed, self.size, self.zipf = int(seed), int(size), zipf
    self.noise = {"wrong": wrong, "missing": missing, "coarse": coarse}
    self.vocabulary: Vocabulary = vocabulary.pretraining()
    self.transfer: Vocabulary = vocabulary.transfer()
    self.leaves_alone: Vocabulary = vocabulary.leaves_of(held_out=True)
    self.seen_leaves_alone: Vocabulary = vocabulary.leaves_of(held_out=False)
    self.shapes_alone: Vocabulary = vocabulary.transfer_shapes()
    count = len(self.vocabulary.leaves)
    ranks = np.argsort(scenes.generator(seed, 0, 0).random(count))
    chances = (ranks + 3.0) ** -zipf
    self.leaf_chances = chances / chances.sum()
    self._tail = np.cumsum(self.leaf_chances)
    self._flat = np.arange(1, count + 1) / count
    looks = self.transfer.looks
    jointed = np.array([look.shape in figures.KINDS for look in looks], np.float64)
    self._held_out = np.arange(1, len(looks) + 1) / len(looks)
    self._figures = np.cumsum(jointed / jointed.sum())

  @property
  def arguments(self) -> dict[str, float]:
    """What to call `ToyWorld` with to get this world again."""
    return {"seed": self.seed, "size": self.size, "zipf": self.zipf, **self.noise}

  def vocabulary_of(self, split: str) -> Vocabulary:
    """The label tree whose class indices a split uses."""
    wanted = splits.named(split)
    if not wanted.held_out:
      return self.seen_leaves_alone if wanted.single else self.vocabulary
    if wanted.single or wanted.shapes:
      return self.leaves_alone if wanted.single else self.shapes_alone
    return self.transfer

  def picture(self, split: str, index: int) -> Picture:
    """A picture of a split.

    Args:
      split: one of `SPLITS`. `figures_*` are transfer splits that show jointed figures only.
      index: 0 … 2^40 - 1.

    Raises:
      ConfigError: no such split, or the index is out of range.
    """
    wanted, known = splits.named(split), self.vocabulary_of(split)
    _within("index", index, 0, _MAX_INDEX - 1)
    noisy = split == "train"
    cumulative = self._tail if noisy else self._flat
    if wanted.held_out:
      cumulative = self._figures if wanted.jointed else self._held_out
    rng = scenes.generator(self.seed, wanted.stream, index)
    scene = scenes.compose(rng, cumulative, most=1 if wanted.single else 4)
    leaves = tuple(known.leaves[leaf] for leaf in scene.leaves)
    labels = true = known.expand(leaves)
    if noisy:
      rng = scenes.generator(self.seed, wanted.stream | _NOISE_STREAM, index)
      labels = scenes.noisy_labels(rng, scene.leaves, known, cumulative, **self.noise)
    looks = tuple(known.looks[leaf] for leaf in scene.leaves)
    return Picture(f"{split}-{index:08d}", labels, true, leaves, scene, looks, self.size)

  def write_hierarchy(self, path: str | os.PathLike[str], transfer: bool = False) -> None:
    """Writes a label tree as CSV with header `child,parent`, in class order; roots have no parent.

    Raises:
      StorageError: the file cannot be written.
    """
    known = self.transfer if transfer else self.vocabulary
    try:
      with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("child", "parent"))
        writer.writerows(known.hierarchy_edges)
    except OSError as error:
      raise errors.StorageError(
          "hierarchy-not-written", path, errors.printable(error), "a writable file") from error


def _within(name: str, value: float, low: float, high: float) -> None:
  if not low <= value <= high:
    raise errors.ConfigError(
        "out-of-range", f"toy_world.{name}", errors.printable(value), f"{low} to {high}")
