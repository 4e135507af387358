"""What is said of a path that is no weight file, without TensorFlow."""

from __future__ import annotations

import pathlib

from jft_reps.errors import StorageError


def error(path: pathlib.Path) -> StorageError:
  """That there is no weight file."""
  return StorageError("no-weights", path, "a folder" if path.is_dir() else "no such file",
                      "a weight file, or a checkpoint's path without ending", hint(path))


def no_checkpoint(folder: pathlib.Path) -> StorageError:
  """That a folder, which may be a run directory, has no checkpoint of ours."""
  return StorageError("no-checkpoint", folder, "no checkpoint of ours",
                      "a run directory, a weight file, or a checkpoint's path without ending",
                      hint(folder))


def hint(path: pathlib.Path) -> str:
  """What to try instead of a path that is no weight file."""
  if not path.is_dir():
    return "Check the path; a configuration has it in --config.init.checkpoint=PATH."
  inside = sorted(p.name for p in path.iterdir())
  found = [n.removesuffix(".index") if n.endswith(".index") else n for n in inside
           if n.endswith((".index", ".h5", ".safetensors", ".ckpt"))]
  return f"Did you mean one of {', '.join(found[:5])}?" if found else "It holds no weight file."
