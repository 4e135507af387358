"""The label map: a text file with one label id per line, in the order of class indices."""

from __future__ import annotations

import os
from collections.abc import Sequence

from jft_reps import errors, whole_files
from jft_reps.data.records import manifest

FILE = "labels.txt"
_KEY = "labels_file"


def read(path: str | os.PathLike) -> tuple[str, ...]:
  """Reads a label map.

  Raises:
    errors.DataError: no such file, not UTF-8, an empty line (it would shift every index
      after it) or a label given twice; names file and line.
  """
  path = os.fspath(path)
  try:
    with open(path, encoding="utf-8-sig") as file:
      lines = [line.strip() for line in file.read().split("\n")]
  except (OSError, UnicodeDecodeError) as error:
    raise errors.DataError(
        "bad-label-map", path, errors.printable(error), "a UTF-8 file, one label per line"
    ) from None
  while lines and not lines[-1]:
    lines.pop()
  seen: dict[str, int] = {}
  for number, label in enumerate(lines, 1):
    where = f"{path}:{number}"
    if not label:
      raise errors.DataError("blank-label", where, "an empty line", "one label per line")
    if label in seen:
      found = f"label {errors.printable(label)!r}, which is on line {seen[label]} already"
      raise errors.DataError("duplicate-label", where, found, "each label once")
    seen[label] = number
  if not seen:
    raise errors.DataError("bad-label-map", path, "no label", "one label per line")
  return tuple(lines)


def check(directory: str | os.PathLike, labels: Sequence[str], replaced: str | None = None
          ) -> bool:
  """Whether `labels.txt` has to be written before a further split of these labels.

  One that no manifest names, such as a build that failed leaves, counts for nothing.

  Args:
    directory: of the records.
    labels: in class order.
    replaced: split whose manifest does not count, as it is to be replaced.

  Raises:
    errors.DataError: another split of the same directory has another label map.
  """
  path = os.path.join(os.fspath(directory), FILE)
  if not os.path.exists(path) or not _named(os.fspath(directory), replaced):
    return True
  old = read(path)
  if old != tuple(label.strip() for label in labels):
    raise errors.DataError(
        "labels-differ", path, f"{len(old)} labels", f"the {len(labels)} of this build",
        f"Give --labels={path} to build a further split, or another directory.",
    )
  return False


def _named(directory: str, replaced: str | None) -> bool:
  """Whether a manifest names the label map; one that cannot be read may."""
  for name in os.listdir(directory):
    if name == f"manifest-{replaced}.json":
      continue
    if name.startswith("manifest-") and name.endswith(".json"):
      with open(os.path.join(directory, name), "rb") as file:
        if f'"{_KEY}"'.encode() in file.read():
          return True
  return False


def write(directory: str | os.PathLike, labels: Sequence[str],
          scratch: str | os.PathLike | None = None) -> str:
  """Writes `labels.txt` beside the records of all splits, which share it; returns its name.

  Args:
    directory: of the records.
    labels: in class order.
    scratch: folder for the half-written file, of the same disk (default: `directory`).

  Raises:
    errors.DataError: as `check`.
  """
  if not check(directory, labels):
    return FILE
  path = os.path.join(os.fspath(directory), FILE)
  os.makedirs(os.fspath(directory), exist_ok=True)
  with whole_files.replacing(path, folder=scratch) as file:
    file.writelines(f"{label}\n" for label in labels)
  return FILE


def labels_of(record_set: manifest.RecordSet) -> tuple[str, ...] | None:
  """Labels of a record set in class order; None where its manifest names no label map."""
  name = record_set.metadata.get(_KEY)
  if name is None:
    return None
  return read(os.path.join(record_set.directory, os.path.basename(str(name))))


def metadata(name: str) -> dict[str, str]:
  """The manifest entry that names a label map beside the records."""
  return {_KEY: name}
