"""Pictures encoded by a pool of processes, in the order in which they come."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import multiprocessing
from collections.abc import Iterable, Iterator

from jft_reps import errors
from jft_reps.data import encoding
from jft_reps.data.sources import raw

_CHUNK = 16


def _encode_chunk(
    pictures: list[str | bytes], how: tuple[int, int, bool]
) -> list[encoding.Encoded]:
  return [encoding.encode_picture(picture, *how) for picture in pictures]


def encoded(
    sources: Iterable[raw.Source], how: tuple[int, int, bool], processes: int
) -> Iterator[tuple[raw.Source, encoding.Encoded]]:
  """Every source with its encoded picture, in order; few chunks are in flight at once.

  Args:
    sources: the pictures.
    how: size, quality and whether EXIF applies, of `encoding.encode_picture`.
    processes: that encode; 1 stays in this one.

  Raises:
    errors.DataError: a process ended early.
  """
  if processes <= 1:
    for source in sources:
      yield source, encoding.encode_picture(source.picture, *how)
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
          job = pool.submit(_encode_chunk, [s.picture for s in chunk], how)
          waiting.append((chunk, job))
        if not waiting:
          return
        chunk, job = waiting.popleft()
        yield from zip(chunk, job.result(), strict=True)
    except concurrent.futures.process.BrokenProcessPool:
      raise errors.DataError(
          "process-died", chunk[0].where, "a process that decodes pictures ended early",
          fix="Out of memory or killed? Try fewer --processes; it was in this or the next "
          f"{_CHUNK * 3 * processes} pictures.",
      ) from None
    finally:
      for _, job in waiting:
        job.cancel()
