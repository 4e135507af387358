"""What keypoints a set of people has: their names, order, mirror images and spread.

A schema is a JSON file {"name", "names", "mirror", "skeleton", "sigmas"}, indices counting from 0.
Two come with the library: `coco`, COCO's 17 points with the sigmas of its evaluation code (Lin et
al. 2014), and `toy_world`, the 14 joints of generated figures. Those joints are exact, so no
annotators' disagreement gives them sigmas: they have COCO's for the same joints, and its shoulder's
for head and neck, as CrowdPose has it (Li et al. 2019).
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from typing import Any

from jft_reps import errors

_SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keypoint_schemas")


@dataclasses.dataclass(frozen=True)
class KeypointSchema:
  """Checked when made.

  Attributes:
    name: of the schema.
    names: of the keypoints, in the order of all arrays of points.
    mirror: pairs of indices that change places when a picture is mirrored.
    skeleton: pairs of indices that a drawing joins.
    sigmas: spread of annotations per keypoint over the root of the person's area, as object
      keypoint similarity takes it.

  Raises:
    errors.DataError: the parts do not fit together.
  """

  name: str
  names: tuple[str, ...]
  mirror: tuple[tuple[int, int], ...]
  skeleton: tuple[tuple[int, int], ...]
  sigmas: tuple[float, ...]

  def __post_init__(self):
    where = f"keypoint schema {errors.printable(self.name)}"
    named = all(isinstance(n, str) and n.strip() and n.isprintable() for n in self.names)
    _expect(bool(self.names) and named, where, f"names {errors.printable(self.names)}",
            "a name of one line per keypoint")
    twice = [name for i, name in enumerate(self.names) if name in self.names[:i]]
    _expect(not twice, where, f"name {errors.printable(twice[:1])} twice", "unique names")
    for key in ("mirror", "skeleton"):
      for pair in getattr(self, key):
        known = len(pair) == 2 and all(type(i) is int and 0 <= i < self.count for i in pair)
        _expect(known and pair[0] != pair[1], where, f"{key} {errors.printable(pair)}",
                f"two different indices from 0 to {self.count - 1}")
    sides = [i for pair in self.mirror for i in pair]
    _expect(len(sides) == len(set(sides)), where, "a keypoint in two mirror pairs", "at most one")
    _expect(len(self.sigmas) == self.count, where, f"{len(self.sigmas)} sigmas",
            f"{self.count}, one per name")
    positive = all(type(s) in (int, float) and math.isfinite(s) and s > 0 for s in self.sigmas)
    _expect(positive, where, f"sigmas {errors.printable(self.sigmas)}", "positive numbers")

  @property
  def count(self) -> int:
    """Number of keypoints, K."""
    return len(self.names)

  @property
  def mirrored(self) -> list[int]:
    """Index of the mirror image of each keypoint; itself where it is in no pair."""
    other = dict((*self.mirror, *((b, a) for a, b in self.mirror)))
    return [other.get(k, k) for k in range(self.count)]

  def to_json(self) -> dict[str, Any]:
    """As a file or a manifest has it."""
    return {"name": self.name, "names": list(self.names), "mirror": list(map(list, self.mirror)),
            "skeleton": list(map(list, self.skeleton)), "sigmas": list(self.sigmas)}


_KEYS = {"name": str, "names": list, "mirror": list, "skeleton": list, "sigmas": list}


def from_json(content: Any, where: str = "keypoint schema") -> KeypointSchema:
  """The schema that `KeypointSchema.to_json` wrote, or a file has.

  Args:
    content: of the file or of the manifest.
    where: for the text of errors.

  Raises:
    errors.DataError: it is none.
  """
  _expect(isinstance(content, dict), where, f"a {type(content).__name__}", "a JSON object")
  _expect(set(content) == set(_KEYS), where, f"keys {errors.printable(sorted(content))}",
          ", ".join(_KEYS))
  for key, kind in _KEYS.items():
    _expect(isinstance(content[key], kind), where, f"{key} {errors.printable(content[key])}",
            f"a {'text' if kind is str else 'list'}")
  for key in ("mirror", "skeleton"):
    _expect(all(isinstance(pair, list) for pair in content[key]), where,
            f"{key} {errors.printable(content[key])}", "a list of pairs")
  try:
    return KeypointSchema(
        content["name"], tuple(content["names"]), tuple(map(tuple, content["mirror"])),
        tuple(map(tuple, content["skeleton"])), tuple(content["sigmas"]))
  except errors.DataError as error:
    raise errors.DataError(error.slug, where, error.found, error.expected) from None


def read(path: str | os.PathLike) -> KeypointSchema:
  """Reads a schema.

  Args:
    path: of a JSON file, or the bare name of one that comes with the library.

  Raises:
    errors.DataError: no such file, or no schema in it.
  """
  path = os.fspath(path)
  fix = ""
  if os.sep not in path and not path.endswith(".json"):
    shipped = sorted(name.removesuffix(".json") for name in os.listdir(_SHIPPED))
    fix = f"Known by name: {', '.join(shipped)}; anything else is a path."
    path = os.path.join(_SHIPPED, f"{path}.json")
  try:
    with open(path, encoding="utf-8-sig") as file:
      content = json.load(file)
  except (OSError, ValueError, RecursionError) as error:
    raise errors.DataError("keypoint-schema", errors.printable(path), errors.printable(error),
                           "a JSON file of a keypoint schema", fix) from None
  return from_json(content, path)


def _expect(condition: bool, where: str, found: str, expected: str) -> None:
  if not condition:
    raise errors.DataError("keypoint-schema", where, found, expected)
