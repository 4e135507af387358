"""Rows of several lists brought together by picture, on disk: neither list is held whole.

Every row goes to one of 128 unnamed temporary files by a checksum of its key; one file at a time
is then sorted in memory (a partitioned hash join, as in Kitsuregawa et al. 1983). The files vanish
with the process, however it ends.
"""

from __future__ import annotations

import itertools
import tempfile
import zlib
from collections.abc import Iterator

from jft_reps import errors

_FILES = 128
_BUFFER = 1 << 16


class Join:
  """A context manager that takes rows in any order and gives them back by key.

  The rows take as much disk as their text, in the folder that `TMPDIR` names, and a hundredth of
  it in memory: 5 GB of them 100 MB, beside 8 MB of buffers.
  """

  def __init__(self):
    self._files = []

  def __enter__(self) -> Join:
    try:
      for _ in range(_FILES):
        self._files.append(tempfile.TemporaryFile(buffering=_BUFFER))
    except OSError as error:
      self.__exit__()
      raise _not_written(error) from None
    return self

  def __exit__(self, *_) -> None:
    for file in self._files:
      try:
        file.close()
      except OSError:
        pass  # what is left in its buffer; the file goes anyway

  def add(self, key: str, *cells: str) -> None:
    """Takes a row; neither key nor cells hold tabs or line ends.

    Raises:
      errors.StorageError: it could not be written.
    """
    line = "\t".join((key, *cells)).encode("utf-8", "surrogateescape") + b"\n"
    place = zlib.crc32(line[: line.index(b"\t")]) % _FILES
    try:
      self._files[place].write(line)
    except OSError as error:
      raise _not_written(error) from None

  def groups(self) -> Iterator[tuple[str, list[list[str]]]]:
    """Every key with its rows, sorted, as lists of cells; the order of keys is a fixed one.

    Raises:
      errors.StorageError: rows could not be written.
    """
    for file in self._files:
      try:
        file.seek(0)
        lines = file.read().splitlines()
      except OSError as error:
        raise _not_written(error) from None
      lines.sort()
      for key, group in itertools.groupby(lines, lambda line: line[: line.index(b"\t")]):
        rows = [line.decode("utf-8", "surrogateescape").split("\t")[1:] for line in group]
        yield key.decode("utf-8", "surrogateescape"), rows


def _not_written(error: OSError) -> errors.StorageError:
  return errors.StorageError(
      "temporary-files", tempfile.gettempdir(), errors.printable(error.strerror),
      f"room for the rows of all annotations in {_FILES} files",
      "Name another folder with the environment variable TMPDIR.")
