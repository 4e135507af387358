"""Pictures of a set whose files are the same byte for byte, found in constant memory."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
from collections.abc import Iterable, Iterator

from jft_reps import whole_files

_AT_ONCE = 256  # open files


def report(parts: Iterable[str], path: str) -> int:
  """Lists pictures whose file another picture of the set has too.

  Args:
    parts: sorted files with lines of digest, tab and picture id; they are merged in place.
    path: of the list: lines of picture ids between tabs, a line per file. It is not there where
      there are none, nor is an older one.

  Returns:
    How many pictures are copies: those of every line but its first.
  """
  parts = [part for part in parts if os.path.exists(part)]
  while len(parts) > _AT_ONCE:
    parts = [_merged(parts[i:i + _AT_ONCE]) for i in range(0, len(parts), _AT_ONCE)]
  copies = 0
  with whole_files.replacing(path) as file, _lines(parts) as lines:
    for _, group in itertools.groupby(lines, key=lambda line: line.partition("\t")[0]):
      ids = sorted(line.rstrip("\n").partition("\t")[2] for line in group)
      if len(ids) > 1:
        copies += len(ids) - 1
        file.write("\t".join(ids) + "\n")
  if not copies:
    os.remove(path)
  return copies


@contextlib.contextmanager
def _lines(paths: list[str]) -> Iterator[Iterator[str]]:
  with contextlib.ExitStack() as stack:
    files = [stack.enter_context(open(path, encoding="utf-8")) for path in paths]
    yield heapq.merge(*files)


def _merged(paths: list[str]) -> str:
  """Merges files into one beside the first; they stay."""
  path = f"{paths[0]}.merged"
  with _lines(paths) as lines, open(path, "w", encoding="utf-8") as file:
    file.writelines(lines)
  return path
