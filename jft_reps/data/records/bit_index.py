"""The index of a subset: a bit for each of the leading records that it uses of every shard.

`numpy.packbits` per shard, one shard after another, each from a new byte: 37.5 MB for 300M
pictures. A reader takes the bytes of its shard only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence

import numpy as np

from jft_reps import errors

_AGAIN = "Make the subset again."


def pack(bits: Sequence[np.ndarray]) -> bytes:
  """The file of an index, of a boolean array per shard."""
  return b"".join(np.packbits(b).tobytes() for b in bits)


@dataclasses.dataclass(frozen=True)
class BitIndex:
  """An index file.

  Attributes:
    path: the file.
    use: records that have a bit, per shard.
  """

  path: str
  use: tuple[int, ...]

  @property
  def spans(self) -> np.ndarray:
    """int64 `[shards, 3]`: bytes before those of a shard, of it, and after it."""
    lengths = -(-np.array(self.use, np.int64) // 8)
    ends = np.cumsum(lengths)
    return np.stack([ends - lengths, lengths, ends[-1] - ends], 1)

  def bits(self, shard: int) -> np.ndarray:
    """Bool `[use]`: which of the records of a shard belong to the set."""
    before, length, _ = self.spans[shard].tolist()
    with open(self.path, "rb") as file:
      file.seek(before)
      return np.unpackbits(np.frombuffer(file.read(length), np.uint8))[: self.use[shard]] > 0

  def check(self, sha256: str, pictures: Sequence[int]) -> None:
    """Holds the file against the manifest.

    Args:
      sha256: its checksum.
      pictures: bits that are set, per shard.

    Raises:
      errors.DataError: no such file, one of another size or content, or other numbers of pictures.
    """
    spans = self.spans
    expected = f"{int(spans[:, 1].sum())} bytes"
    if not os.path.isfile(self.path):
      raise errors.DataError("no-index", self.path, "no such file", expected,
                             "Copy it beside the manifest, or make the subset again.")
    if (size := os.path.getsize(self.path)) != int(spans[:, 1].sum()):
      raise errors.DataError("bad-index", self.path, f"{size} bytes", expected, _AGAIN)
    digest = hashlib.sha256()
    with open(self.path, "rb") as file:
      for length, use, count in zip(spans[:, 1].tolist(), self.use, pictures, strict=True):
        data = file.read(length)
        digest.update(data)
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        if (found := int(bits[:use].sum())) != count or bits[use:].any():
          raise errors.DataError("bad-index", self.path, f"{found} pictures of a shard",
                                 f"{count} (manifest)", _AGAIN)
    if digest.hexdigest() != sha256:
      raise errors.DataError("bad-index", self.path, "another file: its checksum differs",
                             "the file that the manifest names", _AGAIN)
