"""What is in a toy picture, and what its labels say: pure functions of (seed, split, index)."""

from __future__ import annotations

import dataclasses

import numpy as np

from jft_reps.toy_world import backgrounds, figures, vocabulary
from jft_reps.toy_world.rendering import Placed, palette
from jft_reps.toy_world.vocabulary import Vocabulary

MIN_RADIUS = 0.15
# Chance of 1, 2, 3, 4 objects, and the largest radius among so many.
_COUNTS = np.cumsum([0.2, 0.35, 0.3, 0.15])
_MAX_RADIUS = (0.34, 0.3, 0.26, 0.23)
_TRIES = 14
_PER_OBJECT = 24
_EDGE = 0.015


def generator(seed: int, stream: int, index: int) -> np.random.Generator:
  """Random numbers for one picture; cheap to start at any index (Salmon et al. 2011)."""
  return np.random.Generator(np.random.Philox(key=[seed, (stream << 48) | index]))


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
  """Leaves are positions in `Vocabulary.leaves`, not class indices."""

  leaves: tuple[int, ...]
  objects: tuple[np.ndarray, ...]
  background: np.ndarray


def compose(rng: np.random.Generator, cumulative: np.ndarray, most: int = 4) -> Scene:
  """Chooses places first and leaves after, so that no leaf is placed more often than another.

  Args:
    rng: this picture's numbers.
    cumulative: float64 `[leaves]`, running sum of the leaves' chances, ending at 1.
    most: objects, at most.

  Returns:
    The scene; each object is `[_PER_OBJECT]` numbers: x, y, radius, then uniform draws.
  """
  count = int(np.searchsorted(_COUNTS, rng.random(), side="right"))
  count = min(count + 1, most, 4)
  ratio = _MAX_RADIUS[count - 1] / MIN_RADIUS
  radii = MIN_RADIUS * ratio ** rng.random(4)
  places = rng.random((4, _TRIES, 2))
  draws = rng.random((4, _PER_OBJECT))
  picks = np.searchsorted(cumulative, rng.random(4), side="right")
  field = rng.random(backgrounds.DRAWS)
  objects: list[np.ndarray] = []
  leaves: list[int] = []
  for i in range(count):
    spot = _free_spot(float(radii[i]), places[i].tolist(), objects)
    if spot is not None:
      objects.append(np.array([*spot, radii[i], *draws[i, 3:]]))
      leaves.append(min(int(picks[i]), len(cumulative) - 1))
  return Scene(tuple(leaves), tuple(objects), field)


def _free_spot(radius, places, objects) -> tuple[float, float] | None:
  room = 1 - 2 * radius
  for u, v in places:
    x, y = radius + u * room, radius + v * room
    if all((x - o[0]) ** 2 + (y - o[1]) ** 2 > (0.86 * (radius + o[2])) ** 2 for o in objects):
      return x, y
  return None


def place(look: vocabulary.Look, numbers: np.ndarray) -> Placed:
  """The object that a leaf's look and its numbers describe, inside the picture."""
  x, y, radius, flip, turn, stretch, shear = numbers[:7]
  if look.shape in figures.KINDS:
    shape = figures.figure(look.shape, numbers[13:22])
  else:
    shape = vocabulary.shapes()[look.shape]
  flipped = flip < 0.5
  angle = np.radians(36 * (turn - 0.5))
  wide = (-1 if flipped else 1) * (0.9 + 0.2 * stretch)
  cosine, sine = np.cos(angle), np.sin(angle)
  matrix = np.array([[cosine * wide, -sine + 0.12 * (shear - 0.5)], [sine * wide, cosine]]) * radius
  if flipped and shape.joints is not None:
    swapped = shape.joints[figures.MIRRORED]
    shape = dataclasses.replace(shape, joints=swapped)
  points = shape.points @ matrix.T
  low, high = points.min(0), points.max(0)
  centre = np.clip((x, y), _EDGE - low, 1 - _EDGE - high)
  return Placed(
      shape=shape,
      texture=look.texture,
      palette=palette(vocabulary.COLOURS[look.colour], numbers[7:11]),
      matrix=np.column_stack([matrix, centre]),
      drift=(0.5 * (numbers[11] - 0.5), 0.5 * (numbers[12] - 0.5)),
  )


def noisy_labels(
    rng: np.random.Generator, leaves: tuple[int, ...], known: Vocabulary, cumulative: np.ndarray,
    wrong: float, missing: float, coarse: float,
) -> tuple[int, ...]:
  """Labels as an automatic annotator would give them: class indices, ascending, each once.

  Of each object, independently: no label with chance `missing`, else a wrong leaf with chance
  `wrong`, drawn as leaves are drawn, so that every leaf has the same precision; then, with chance
  `coarse`, an ancestor (texture, shape or family level) instead of the leaf. One object is always
  labelled. The same numbers are drawn at every noise level: a higher level only adds faults.
  """
  draws = rng.random((len(leaves), 5))
  seen = draws[:, 0] >= missing
  seen[np.argmax(draws[:, 0])] = True
  labels = set()
  for i, leaf in enumerate(leaves):
    if not seen[i]:
      continue
    _, fault, other, rough, height = draws[i].tolist()
    if fault < wrong:
      leaf = _another(leaf, other, cumulative)
    path = known.paths[known.leaves[leaf]]
    labels.add(path[min(1 + int(3 * height), len(path) - 1)] if rough < coarse else path[0])
  return tuple(sorted(labels))


def _another(leaf: int, draw: float, cumulative: np.ndarray) -> int:
  """A leaf other than this one, by the leaves' chances."""
  low = cumulative[leaf - 1] if leaf else 0.0
  width = cumulative[leaf] - low
  draw *= 1 - width
  draw = draw + width if draw >= low else draw
  return min(int(np.searchsorted(cumulative, draw, side="right")), len(cumulative) - 1)
