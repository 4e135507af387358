"""The splits of the toy world and what their pictures show."""

from __future__ import annotations

from typing import NamedTuple

from jft_reps import errors


class Split(NamedTuple):
  """What the pictures of a split show.

  Attributes:
    stream: of random numbers.
    held_out: classes that pre-training never shows.
    jointed: figures with joints only; records have them as people with keypoints, of one class.
    single: one object a picture, whose leaf is its one label.
    shapes: classes are shapes, whatever their texture and colour.
    masks: records have a class per pixel in place of boxes; class 0 is the background.
  """

  stream: int
  held_out: bool = False
  jointed: bool = False
  single: bool = False
  shapes: bool = False
  masks: bool = False


SPLITS = {
    "train": Split(1),
    "dev": Split(2),
    "fasteval": Split(3),
    "transfer_train": Split(4, held_out=True),
    "transfer_dev": Split(5, held_out=True),
    "transfer_test": Split(6, held_out=True),
    "figures_train": Split(7, held_out=True, jointed=True),
    "figures_dev": Split(8, held_out=True, jointed=True),
    "figures_test": Split(9, held_out=True, jointed=True),
    "single_train": Split(10, held_out=True, single=True),
    "single_dev": Split(11, held_out=True, single=True),
    "single_test": Split(12, held_out=True, single=True),
    "boxes_train": Split(13, held_out=True, shapes=True),
    "boxes_dev": Split(14, held_out=True, shapes=True),
    "boxes_test": Split(15, held_out=True, shapes=True),
    "masks_train": Split(16, held_out=True, shapes=True, masks=True),
    "masks_dev": Split(17, held_out=True, shapes=True, masks=True),
    "masks_test": Split(18, held_out=True, shapes=True, masks=True),
    "clean_train": Split(19, single=True),
    "clean_dev": Split(20, single=True),
}


def named(name: str) -> Split:
  """The split of this name.

  Raises:
    ConfigError: there is none.
  """
  if name not in SPLITS:
    raise errors.ConfigError(
        "unknown-split", "toy_world", errors.printable(name), f"one of {', '.join(SPLITS)}")
  return SPLITS[name]
