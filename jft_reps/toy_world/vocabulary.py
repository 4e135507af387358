"""The label trees of the toy world: one to pre-train on, one held out for transfer.

A leaf is a shape with a texture and a colour. Each shape wears 3 of 8 textures, each of them in 3
of 10 colours, so that neither texture nor colour alone names a leaf. In the tree to pre-train on
there are six levels; held-out shapes (two of each family and one family whole) wear held-out
textures and form a tree of their own, from the shape down, that shares no class with the first.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable

import numpy as np

from jft_reps.toy_world import animals, figures, plants, textures, things
from jft_reps.toy_world.geometry import Part, Shape

LEVELS = ("realm", "kingdom", "family", "shape", "texture", "leaf")

COLOURS = {
    "red": (214, 48, 49), "orange": (243, 135, 32), "yellow": (247, 205, 58),
    "green": (76, 168, 72), "cyan": (56, 190, 194), "blue": (56, 96, 200),
    "purple": (132, 74, 176), "pink": (240, 132, 174), "brown": (142, 92, 58),
    "white": (240, 238, 230),
}

# (realm, kingdom, family, its shapes, how many of them are seen in pre-training)
_FAMILIES: tuple[tuple[str, str, str, Callable[[], dict[str, list[Part]]] | None, int], ...] = (
    ("living", "animal", "quadruped", animals.quadrupeds, 3),
    ("living", "animal", "bird", animals.birds, 3),
    ("living", "animal", "swimmer", animals.swimmers, 3),
    ("living", "animal", "biped", None, 4),
    ("living", "animal", "crawler", animals.crawlers, 0),
    ("living", "plant", "flower", plants.flowers, 3),
    ("living", "plant", "tree", plants.trees, 3),
    ("living", "plant", "fruit", plants.fruit, 3),
    ("made", "vehicle", "road", things.road, 3),
    ("made", "vehicle", "aircraft", things.aircraft, 3),
    ("made", "home", "building", things.buildings, 3),
    ("made", "home", "tableware", things.tableware, 3),
    ("made", "sign", "emblem", things.emblems, 3),
    ("made", "sign", "mark", things.marks, 3),
)


@dataclasses.dataclass(frozen=True)
class Look:
  """What a leaf looks like."""

  shape: str
  texture: str
  colour: str


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """A label tree. Classes are numbered level by level, so parents come before children.

  Attributes:
    ids: unique class ids in class order, such as `living/animal/bird/owl/striped/red`.
    names: display names in class order, such as `red striped owl`.
    parents: class index of each class's parent, -1 for a root.
    levels: one of `LEVELS` for each class.
    leaves: class indices of the leaves.
    looks: the look of each leaf, in the order of `leaves`.
  """

  ids: tuple[str, ...]
  names: tuple[str, ...]
  parents: tuple[int, ...]
  levels: tuple[str, ...]
  leaves: tuple[int, ...]
  looks: tuple[Look, ...]

  @property
  def hierarchy_edges(self) -> list[tuple[str, str]]:
    """(child id, parent id or "") in class order."""
    return [(c, self.ids[p] if p >= 0 else "") for c, p in zip(self.ids, self.parents)]

  @functools.cached_property
  def paths(self) -> tuple[tuple[int, ...], ...]:
    """For each class, itself and its ancestors, upwards."""
    paths: list[tuple[int, ...]] = []
    for i, parent in enumerate(self.parents):
      paths.append((i, *paths[parent]) if parent >= 0 else (i,))
    return tuple(paths)

  def expand(self, labels: Iterable[int]) -> tuple[int, ...]:
    """The labels and all their ancestors, ascending, each once."""
    return tuple(sorted({c for label in labels for c in self.paths[label]}))


@functools.cache
def shapes() -> dict[str, Shape]:
  """All rigid shapes by name; bipeds are made anew for each pose (`figures.figure`)."""
  return {
      name: Shape.of(parts)
      for *_, make, _ in _FAMILIES if make is not None for name, parts in make().items()
  }


@functools.cache
def pretraining() -> Vocabulary:
  """The tree to pre-train on: 40 shapes, 360 leaves, 540 classes in six levels."""
  return _vocabulary(held_out=False)


@functools.cache
def transfer() -> Vocabulary:
  """The held-out tree: 31 shapes in unseen textures, 124 leaves, 217 classes in three levels."""
  return _vocabulary(held_out=True)


@functools.cache
def leaves_of(held_out: bool) -> Vocabulary:
  """The leaves of a tree alone, without parents: 360 to pre-train on, 124 held out."""
  tree = transfer() if held_out else pretraining()
  ids, names = (tuple(values[leaf] for leaf in tree.leaves) for values in (tree.ids, tree.names))
  count = len(ids)
  return Vocabulary(ids, names, (-1,) * count, ("leaf",) * count, tuple(range(count)), tree.looks)


@functools.cache
def transfer_shapes() -> Vocabulary:
  """The held-out shapes whatever their texture and colour: 31 classes to detect."""
  tree = transfer()
  shape_of = [tree.parents[tree.parents[leaf]] for leaf in tree.leaves]
  shapes_ = sorted(set(shape_of))
  ids, names = (tuple(values[shape] for shape in shapes_) for values in (tree.ids, tree.names))
  count, index = len(ids), {shape: i for i, shape in enumerate(shapes_)}
  return Vocabulary(ids, names, (-1,) * count, ("shape",) * count,
                    tuple(index[shape] for shape in shape_of), tree.looks)


def _vocabulary(held_out: bool) -> Vocabulary:
  nodes: dict[str, tuple[str, str, str]] = {}  # id: (name, parent id, level)
  looks: dict[str, Look] = {}
  for number, (path, shape) in enumerate(_shape_paths(held_out)):
    parents = [path] if held_out else list(itertools.accumulate(path.split("/"), "{}/{}".format))
    for depth, node in enumerate(parents):
      parent = parents[depth - 1] if depth else ""
      nodes[node] = (node.split("/")[-1], parent, "shape" if node == path else LEVELS[depth])
    for texture, colour in _outfits(number, held_out):
      middle, leaf = f"{path}/{texture}", f"{path}/{texture}/{colour}"
      nodes[middle] = (f"{texture} {shape}", path, "texture")
      nodes[leaf] = (f"{colour} {texture} {shape}", middle, "leaf")
      looks[leaf] = Look(shape, texture, colour)
  ids = sorted(nodes, key=lambda node: LEVELS.index(nodes[node][2]))
  index = {node: i for i, node in enumerate(ids)}
  return Vocabulary(
      ids=tuple(ids),
      names=tuple(nodes[node][0] for node in ids),
      parents=tuple(index.get(nodes[node][1], -1) for node in ids),
      levels=tuple(nodes[node][2] for node in ids),
      leaves=tuple(index[leaf] for leaf in looks),
      looks=tuple(looks.values()),
  )


def _shape_paths(held_out: bool) -> list[tuple[str, str]]:
  paths = []
  for realm, kingdom, family, make, seen in _FAMILIES:
    names = list(make()) if make is not None else list(figures.KINDS)
    for shape in names[seen:] if held_out else names[:seen]:
      paths.append((f"{realm}/{kingdom}/{family}/{shape}", shape))
  return paths


def _outfits(number: int, held_out: bool) -> list[tuple[str, str]]:
  """Textures and colours of the shape with this number; fixed, the same for every world."""
  rng = np.random.Generator(np.random.PCG64([17, number, held_out]))
  known = textures.HELD_OUT if held_out else textures.SEEN
  wide = 2 if held_out else 3
  outfits = []
  for place in np.argsort(rng.random(len(known)))[:wide]:
    for colour in np.argsort(rng.random(len(COLOURS)))[:wide]:
      outfits.append((known[place], list(COLOURS)[colour]))
  return outfits
