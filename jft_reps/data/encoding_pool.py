"""Pictures, and masks with them, encoded by a pool of processes in the order in which they come."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import multiprocessing
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jft_reps import errors
from jft_reps.data import encoding
from jft_reps.data.sources import raw

_CHUNK = 16


class How(NamedTuple):
  """What `encoding.encode_picture` is told of every picture."""

  store_size: int
  store_quality: int
  exif: bool
  num_classes: int


class _Refused(NamedTuple):
  """The parts of a `DataError`: exceptions of several arguments do not cross processes."""

  slug: str
  where: str
  found: str
  expected: str
  fix: str


def _encode_chunk(
    pairs: list[tuple[str | bytes, raw.Mask | None]], how: How
) -> list[encoding.Encoded | _Refused]:
  """Every picture of a chunk; those after an error are left out."""
  done: list[encoding.Encoded | _Refused] = []
  for picture, mask in pairs:
    try:
      done.append(encoding.encode_picture(picture, mask, *how))
    except errors.DataError as error:
      return [*done, _Refused(error.slug, error.where, error.found, error.expected, error.fix)]
  return done


def encoded(
    sources: Iterable[raw.Source], how: How, processes: int
) -> Iterator[tuple[raw.Source, encoding.Encoded]]:
  """Every source with its encoded picture, in order; few chunks are in flight at once.

  Args:
    sources: the pictures.
    how: they are encoded.
    processes: that encode; 1 stays in this one.

  Raises:
    errors.DataError: a mask is wrong, or a process ended early.
  """
  if processes <= 1:
    for source in sources:
      yield source, encoding.encode_picture(source.picture, source.mask, *how)
    return
  context = multiprocessing.get_context("spawn")
  remaining = iter(sources)
  waiting: collections.deque = collections.deque()
  with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
    try:
      while True:
        while len(waiting) < 3 * processes:
          chunk = list(itertools.islice(remaining, _CHUNK))
          if not chunk:
            break
          job = pool.submit(_encode_chunk, [(s.picture, s.mask) for s in chunk], how)
          waiting.append((chunk, job))
        if not waiting:
          return
        chunk, job = waiting.popleft()
        for source, one in zip(chunk, job.result()):  # shorter where it ends in an error
          if isinstance(one, _Refused):
            raise errors.DataError(*one)
          yield source, one
    except concurrent.futures.process.BrokenProcessPool:
      raise errors.DataError(
          "process-died", chunk[0].where, "a process that decodes pictures ended early",
          fix="Out of memory or killed? Try fewer --processes; it was in this or the next "
          f"{_CHUNK * 3 * processes} pictures.",
      ) from None
    finally:
      for _, job in waiting:
        job.cancel()
