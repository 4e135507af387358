"""Files of results that are written as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import IO, Any

from jft_reps.errors import StorageError, printable


@contextlib.contextmanager
def replacing(path: str | os.PathLike, binary: bool = False) -> Iterator[IO[Any]]:
  """A file, UTF-8 text or bytes, that takes the place of `path` when all of it is written.

  Raises:
    StorageError: it cannot be written.
  """
  partial = f"{os.fspath(path)}.partial"
  form = {"mode": "wb"} if binary else {"mode": "w", "encoding": "utf-8", "newline": "\n"}
  try:
    with open(partial, **form) as file:
      yield file
    os.replace(partial, path)
  except OSError as error:
    raise StorageError("results-write", printable(os.fspath(path)), printable(error),
                       "a writable file") from error
  finally:
    with contextlib.suppress(OSError):
      os.remove(partial)
