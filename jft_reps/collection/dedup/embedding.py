"""Embeddings of the pictures of an index: nearest neighbours, and whether a pair agrees.

Only the evaluation set's vectors are kept, as they are and of the mirrored pictures; training
pictures pass by. So the side that is searched is the small one. Vectors are centred at the mean of
the evaluation set, because pooled features of a ReLU network all point into one orthant.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jft_reps import errors
from jft_reps.collection.dedup import perceptual_hash
from jft_reps.collection.dedup import pictures as duplicate_pictures
from jft_reps.collection.dedup.index import Part

# Training pictures above which an approximate search is worth its misses.
APPROXIMATE_ABOVE = 1_000_000
_BATCH = 64
_BLOCK = 1024


class Embedding:
  """Vectors of an evaluation set, and of the training pictures that pass by.

  Args:
    embed_fn: uint8 `[n, size, size, 3]` to finite `[n, d]`.
    size: of the pictures it takes.
    pictures: gives those of a `Part.source`, in the order in which they were hashed.
    evaluation: parts of the evaluation set.
    processes: that decode.
    approximate: search by usearch (HNSW) instead of by all products.
    symmetries: of the evaluation pictures, in which a pair may agree: 2, the second one mirrored,
      or all 8. Neighbours are searched in the first two.

  Raises:
    errors.ConfigError: usearch is wanted and not installed.
    errors.DataError: pictures are no longer those that were hashed.
    errors.NumericError: a vector is not finite.
  """

  def __init__(self, embed_fn: Callable[[np.ndarray], np.ndarray], size: int,
               pictures: Callable[[str], Iterable[duplicate_pictures.Picture]],
               evaluation: Sequence[Part], processes: int = 1, approximate: bool = False,
               symmetries: int = 2):
    self._embed, self._size, self._processes = embed_fn, size, processes
    self._pictures = pictures
    self._open: dict[str, Any] = {}
    batches = (batch for part in evaluation for batch in self._batches(part))
    some = perceptual_hash.SYMMETRIES[:symmetries]
    called = [np.stack([self._call(_turned(b, s)) for s in some], 1) for b in batches]
    every = np.concatenate(called) if called else np.zeros((0, symmetries, 1), np.float32)
    self._mean = every[:, :2].mean((0, 1)) if len(every) else 0
    self._mine = _unit(every[:, :2] - self._mean)  # [n, 2, d]
    self._turned = _unit(every[:, 2:] - self._mean).astype(np.float16)  # [n, symmetries - 2, d]
    hashed = np.concatenate([np.zeros(0, bool), *(p.hashes.any(1) for p in evaluation)])
    self._mine[~hashed] = self._turned[~hashed] = 0
    self._open.clear()  # the same pictures may be the training set
    self._index = _hnsw(self._mine) if approximate else None

  def of_part(self, part: Part) -> np.ndarray:
    """`[n, d]` unit vectors of a part's pictures; zeros of those that are degenerate.

    Parts of one source are asked for in their order, and all of them.
    """
    batches = [_unit(self._call(batch) - self._mean) for batch in self._batches(part)]
    vectors = np.concatenate([np.zeros((0, self._mine.shape[-1]), np.float32), *batches])
    vectors[~part.hashes.any(1)] = 0
    return vectors

  def cosine(self, evaluation: int, vector: np.ndarray) -> float:
    """Of an evaluation picture, in the closest of its symmetries, and a vector of `of_part`."""
    both = (self._mine[evaluation] @ vector).max()
    return float((self._turned[evaluation] @ vector).max(initial=both))

  def nearest(self, vectors: np.ndarray, count: int, least: float
              ) -> Iterator[tuple[int, int, float]]:
    """(evaluation picture, row, cosine) of the evaluation pictures nearest to each row.

    Args:
      vectors: of `of_part`.
      count: neighbours of one row.
      least: cosine.
    """
    if not len(self._mine):
      return
    for start in range(0, len(vectors), _BLOCK):
      near, cosines = self._block(vectors[start:start + _BLOCK], count)
      for row, column in zip(*np.nonzero(cosines >= least)):
        yield int(near[row, column]), start + int(row), float(cosines[row, column])

  def _block(self, vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    if self._index is not None:
      found = self._index.search(vectors, 2 * count)
      return np.atleast_2d(found.keys) // 2, 1 - np.atleast_2d(found.distances)
    cosines = np.maximum(*(vectors @ self._mine[:, side].T for side in (0, 1)))
    near = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return near, np.take_along_axis(cosines, near, 1)

  def _call(self, pixels: np.ndarray) -> np.ndarray:
    vectors = np.asarray(self._embed(pixels), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(pixels) or not np.isfinite(vectors).all():
      raise errors.NumericError("bad-embedding", "embed_fn", f"values of shape {vectors.shape}",
                                f"finite values [{len(pixels)}, d]", "Look at the weights.")
    return vectors

  def _batches(self, part: Part) -> Iterator[np.ndarray]:
    """Pixels of a part's pictures in order; black where one can be hashed and not decoded."""
    if part.source not in self._open:
      self._open[part.source] = iter(self._pictures(part.source))
    # Parts are consecutive pieces of their source.
    taken = itertools.islice(self._open[part.source], len(part.ids) + len(part.unreadable))
    found = duplicate_pictures.mapped(duplicate_pictures.pixels, taken, self._processes, self._size)
    unreadable, batch, seen = {i for i, _ in part.unreadable}, [], 0
    for picture_id, pixels in found:
      if picture_id in unreadable:
        continue
      if picture_id != part.ids[seen]:
        break
      seen += 1
      batch.append(np.zeros((self._size, self._size, 3), np.uint8) if pixels is None else pixels)
      if len(batch) == _BATCH or seen == len(part.ids):
        yield np.stack(batch)
        batch = []
    if seen != len(part.ids):
      raise errors.DataError(
          "index-stale", errors.printable(part.source), f"picture {seen + 1} is no longer "
          f"{errors.printable(part.ids[seen])}", "the pictures of the index",
          "Hash the pictures again.")


def _turned(pixels: np.ndarray, symmetry: perceptual_hash.Symmetry) -> np.ndarray:
  """Square pictures `[n, size, size, 3]` after a symmetry."""
  turned = symmetry.of_pixels(np.moveaxis(pixels, -1, 1))
  return np.ascontiguousarray(np.moveaxis(turned, 1, -1))


def _unit(vectors: np.ndarray) -> np.ndarray:
  return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def installed() -> bool:
  """Whether usearch is there."""
  return importlib.util.find_spec("usearch") is not None


def _hnsw(vectors: np.ndarray) -> Any:
  """Approximate index over `[n, 2, d]`; keys are flat."""
  if not installed():
    raise errors.ConfigError("no-usearch", "approximate search", "usearch is not installed",
                             "pip install jft-reps[dedup]")
  from usearch.index import Index

  flat = vectors.reshape(-1, vectors.shape[-1])
  index = Index(ndim=flat.shape[1], metric="ip", dtype="f32")
  index.add(np.arange(len(flat)), flat)
  return index
