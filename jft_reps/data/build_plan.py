"""The folder of an unfinished build: which picture goes to which shard, and what is done."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jft_reps import errors
from jft_reps.data import records, shard_builds, shard_files, spills
from jft_reps.data.sources import packing, raw

_EVERY = 1000  # pictures between reports


class Plan(NamedTuple):
  """What is known once every picture was listed.

  Attributes:
    pictures: number of them.
    labels: in class order.
    counts: what the source counted beside pictures.
  """

  pictures: int
  labels: list[str]
  counts: dict[str, int]


class Unfinished:
  """A build on its way.

  Args:
    folder: where it lies, which this process has locked.
    arguments: of the build, as JSON takes them.
  """

  def __init__(self, folder: str, arguments: Mapping[str, Any]):
    self.folder = folder
    text = json.dumps(arguments, sort_keys=True, default=str)
    self._fingerprint = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

  def planned(self) -> Plan | None:
    """The plan that a build of the same arguments left behind, or None."""
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
      with open(os.path.join(self.folder, shard_builds.PLAN), encoding="utf-8") as file:
        found = json.load(file)
      if found["fingerprint"] == self._fingerprint:
        return Plan(found["pictures"], found["labels"], found["counts"])
    return None

  def plan(self, sources: Callable[[], Iterable[raw.Source]], shards: int,
           labels: Sequence[str] | None, counts: Mapping[str, int],
           report: Callable[[int], None] | None = None) -> Plan:
    """The plan of a build that was killed, or of a pass over all pictures.

    Args:
      sources: gives the pictures.
      shards: number of files.
      labels: in class order; None: those that occur, sorted.
      counts: of the source, complete once its pictures were read.
      report: called with the number of pictures so far, every now and then.

    Raises:
      errors.DataError: there is no picture, or one has a label that is no class.
    """
    there = self.planned()
    if there is not None:
      return there
    _clear(self.folder)
    path = os.path.join(self.folder, shard_builds.PLAN)
    pictures, classes = _listed(sources(), self.folder, shards, labels, report)
    planned = Plan(pictures, classes, dict(counts))
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
      json.dump({"fingerprint": self._fingerprint, **planned._asdict()}, file)
      file.flush()
      os.fsync(file.fileno())
    os.replace(f"{path}.tmp", path)
    shard_files.sync(self.folder)
    return planned


def _listed(sources: Iterable[raw.Source], folder: str, shards: int,
            labels: Sequence[str] | None, report: Callable[[int], None] | None
            ) -> tuple[int, list[str]]:
  """Number of pictures and labels in class order, after each picture went to its shard."""
  known = None if labels is None else {label: i for i, label in enumerate(labels)}
  found: set[str] = set()
  waiting = spills.Spills(folder, shards)
  for source in sources:
    for label in (*source.labels, *source.absent):
      if known is not None and label not in known:
        raise _unknown_label(label, source.where, known)
      found.add(label)
    waiting.add(source.picture_id, packing.pack(source))
    if report is not None and waiting.written % _EVERY == 0:
      report(waiting.written)
  if not waiting.written:
    raise errors.DataError("no-pictures", "input", "no picture", "JPEG or PNG files with labels")
  waiting.flush()
  return waiting.written, sorted(found) if labels is None else list(labels)


def _unknown_label(label: str, where: str, known: Mapping[str, int]) -> errors.DataError:
  near = difflib.get_close_matches(label, itertools.islice(known, 20_000), 1)
  fix = f"Did you mean {errors.printable(near[0])!r}?" if near else (
      "Correct it, or name your own classes with --labels.")
  return errors.DataError(
      "unknown-label", where, f"label {errors.printable(label)!r}",
      f"one of the {len(known)} labels of the label map", fix)


@contextlib.contextmanager
def opened(
    output: str, split: str, arguments: Mapping[str, Any], overwrite: bool
) -> Iterator[Unfinished]:
  """The folder of an unfinished build, which goes when the build succeeds or its data are bad.

  Args:
    output: folder of the set, made when absent.
    split: name of the set.
    arguments: of the build, as JSON takes them; a plan of others is made anew.
    overwrite: replace a set of the same split.

  Raises:
    errors.DataError: another process builds this split, or it is there.
  """
  folder = os.path.join(output, f".{split}.build")
  if Unfinished(folder, arguments).planned() is None:  # else killed after it wrote the manifest
    records.check_absent(output, split, overwrite)
  os.makedirs(folder, exist_ok=True)
  with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise errors.DataError("build-running", folder, "another process builds this split", "",
                             "Wait for it, or name another split.") from None
    try:
      yield Unfinished(folder, arguments)
    except errors.JftError as error:
      if not isinstance(error, errors.StorageError) and error.slug not in _GOES_ON:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
          os.rmdir(output)  # where nothing else is in it
      raise
    shutil.rmtree(folder, ignore_errors=True)


_GOES_ON = frozenset(("process-died", "shard-lost"))


def _clear(folder: str) -> None:
  for name in os.listdir(folder):
    if name != "lock":
      os.remove(os.path.join(folder, name))
