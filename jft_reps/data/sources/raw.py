"""One picture with its labels, before it is a record: what every kind of raw material gives."""

from __future__ import annotations

import dataclasses
import os

from jft_reps import errors


@dataclasses.dataclass(frozen=True)
class Source:
  """One picture before it is a record, in a file or as the bytes of one.

  Attributes:
    picture_id: unique name.
    path: of the file; empty where there is none.
    labels: names, not yet indices.
    confidences: one per label, in [0, 1].
    where: for the text of errors.
    data: the encoded picture where it is no file of its own.
  """

  picture_id: str
  path: str
  labels: tuple[str, ...]
  confidences: tuple[float, ...]
  where: str
  data: bytes | None = None

  @property
  def picture(self) -> str | bytes:
    """Encoded bytes, or the path of the file that has them."""
    return self.path if self.data is None else self.data


def inside(root: str, name: str, where: str) -> str:
  """Path of `name` under `root`; refuses one that leaves it, by `..`, links or a root slash."""
  path = os.path.realpath(os.path.join(root, name))
  base = os.path.realpath(root)
  if os.path.commonpath([base, path]) != base:
    found = f"path {errors.printable(name)!r} leaves the folder"
    raise errors.DataError("path-outside", where, found, f"a file under {root}")
  return path
