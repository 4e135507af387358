"""Files that appear as a whole or not at all, and the checksum of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

from jft_reps.errors import StorageError, printable


@contextlib.contextmanager
def replacing(path: str | os.PathLike, binary: bool = False, errors: str = "strict",
              folder: str | os.PathLike | None = None) -> Iterator[IO[Any]]:
  """A file that takes the place of `path`, be it a link, when all of it is on the disk.

  Args:
    path: what is to be.
    binary: bytes; otherwise UTF-8 text whose line ends stay as they are.
    errors: what becomes of text that UTF-8 has no bytes for, as of `open`.
    folder: for the file until then, on the same file system; default: that of `path`.

  Raises:
    StorageError: it cannot be written.
  """
  beside, name = os.path.split(os.fspath(path))
  temporary = os.path.join(beside if folder is None else folder, f".{name}.tmp-{os.getpid()}")
  try:
    _remove(temporary)  # of a killed process with our number
    with (open(temporary, "xb") if binary else
          open(temporary, "x", encoding="utf-8", newline="\n", errors=errors)) as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except OSError as error:
    raise StorageError("write-failed", printable(path), printable(error.strerror or error),
                       "a writable path") from error
  finally:
    with contextlib.suppress(OSError):
      _remove(temporary)


def write(path: str | os.PathLike, content: str | bytes) -> None:
  """Writes a whole file, see `replacing`."""
  with replacing(path, binary=isinstance(content, bytes)) as file:
    file.write(content)


def write_all(folder: str | os.PathLike, contents: Mapping[str, str | bytes]) -> list[str]:
  """Writes files, by name, into a folder, which is made where it is absent; returns their paths.

  Raises:
    StorageError: that is not possible.
  """
  try:
    os.makedirs(folder, exist_ok=True)
  except OSError as error:
    raise StorageError("write-failed", printable(folder), printable(error.strerror or error),
                       "a folder to write to") from error
  paths = [os.path.join(os.fspath(folder), name) for name in contents]
  for path, content in zip(paths, contents.values()):
    write(path, content)
  return paths


def sha256(*paths: str | os.PathLike) -> str:
  """Checksum of a file, or of several one after another, in hexadecimal digits."""
  digest = hashlib.sha256()
  for path in paths:
    with open(path, "rb") as file:
      while block := file.read(1 << 20):
        digest.update(block)
  return digest.hexdigest()


def _remove(path: str) -> None:
  with contextlib.suppress(FileNotFoundError):
    os.remove(path)
