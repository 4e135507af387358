"""Files of results that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping

from jft_reps import errors
from jft_reps.data import manifest


def write(folder: str | os.PathLike, contents: Mapping[str, bytes]) -> list[str]:
  """Writes files, by name, into a folder, which is made where it is absent; returns their paths.

  Raises:
    errors.StorageError: that is not possible.
  """
  folder = os.fspath(folder)
  try:
    os.makedirs(folder, exist_ok=True)
  except OSError as error:
    raise errors.StorageError("write-failed", folder, errors.printable(error.strerror),
                              "a folder to write to") from error
  paths = [os.path.join(folder, name) for name in contents]
  for path, content in zip(paths, contents.values()):
    manifest.replace_file(path, content)
  return paths
