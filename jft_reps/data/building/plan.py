"""The folder of an unfinished build: which picture goes to which shard, and what is done."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from jft_reps import errors, whole_files
from jft_reps.data.building import one_shard, packing
from jft_reps.data.records import shard_files, spills, writing
from jft_reps.data.sources import raw

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
      with open(os.path.join(self.folder, one_shard.PLAN), encoding="utf-8") as file:
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
      logging.warning("going on with a build that ended early: its %d pictures are not listed "
                      "again; remove %s to start anew", there.pictures, self.folder)
      return there
    _clear(self.folder)
    path = os.path.join(self.folder, one_shard.PLAN)
    pictures, classes = _listed(sources(), self.folder, shards, labels, report)
    planned = Plan(pictures, classes, dict(counts))
    whole_files.write(path, json.dumps({"fingerprint": self._fingerprint, **planned._asdict()}))
    shard_files.sync(self.folder)
    return planned


def _listed(sources: Iterable[raw.Source], folder: str, shards: int,
            labels: Sequence[str] | None, report: Callable[[int], None] | None
            ) -> tuple[int, list[str]]:
  """Number of pictures and labels in class order, after each picture went to its shard."""
  known = None if labels is None else {label: i for i, label in enumerate(labels)}
  found: set[str] = set()
  stripped: dict[str, str] = {}
  waiting = spills.Spills(folder, shards)
  for source in sources:
    for label in (*source.labels, *source.absent):
      if known is not None and label not in known:
        raise _unknown_label(label, source.where, known)
      if label not in found:
        _check_label(label, source.where, stripped)
        found.add(label)
    waiting.add(source.picture_id, packing.pack(source))
    if report is not None and waiting.written % _EVERY == 0:
      report(waiting.written)
  if not waiting.written:
    raise errors.DataError("no-pictures", "input", "no picture", "JPEG or PNG files with labels")
  waiting.flush()
  return waiting.written, sorted(found) if labels is None else list(labels)


def _check_label(label: str, where: str, stripped: dict[str, str]) -> None:
  """Refuses a label that could not be a line of its own in a label map."""
  name = label.strip()
  try:
    name.encode()
  except UnicodeEncodeError:
    name = ""
  if not name or name != "".join(name.splitlines()):
    raise errors.DataError("bad-label", where, f"label {errors.printable(label)!r}",
                           "one line of UTF-8 text")
  if stripped.setdefault(name, label) != label:
    raise errors.DataError(
        "duplicate-label", where, f"label {errors.printable(label)!r} beside "
        f"{errors.printable(stripped[name])!r}", "labels that differ in more than spaces")


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
  with _locked(folder):
    unfinished = Unfinished(folder, arguments)
    if unfinished.planned() is None:  # else killed after it wrote the manifest
      try:
        writing.check_absent(output, split, overwrite)
      except errors.DataError:
        _remove(folder)
        raise
    _sweep(output, split)
    try:
      yield unfinished
    except errors.JftError as error:
      if not isinstance(error, errors.StorageError) and error.slug not in _GOES_ON:
        _remove(folder)
        with contextlib.suppress(OSError):
          os.rmdir(output)  # where nothing else is in it
      raise
    _remove(folder)


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
  """Keeps every other process out of the folder."""
  path = os.path.join(folder, "lock")
  while True:
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as lock:
      try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        raise errors.DataError("build-running", folder, "another process builds this split", "",
                               "Wait for it, or name another split.") from None
      with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(lock.fileno()), os.stat(path)):
          yield
          return
    # Who held the lock has finished and removed the folder meanwhile.


def _remove(folder: str) -> None:
  """Removes the folder, the plan first: what is left of a folder without one counts for nothing."""
  with contextlib.suppress(FileNotFoundError):
    os.remove(os.path.join(folder, one_shard.PLAN))
    shard_files.sync(folder)
  shutil.rmtree(folder, ignore_errors=True)


def _sweep(output: str, split: str) -> None:
  """Removes half-written files of this split that a kill left."""
  left = re.compile(rf"\.?(manifest|quarantine|identical)-{re.escape(split)}\.(new\.)?\w+\.tmp-\d+")
  for name in os.listdir(output):
    if left.fullmatch(name):
      os.remove(os.path.join(output, name))


_GOES_ON = frozenset(("process-died", "shard-lost"))


def _clear(folder: str) -> None:
  for name in os.listdir(folder):
    if name != "lock":
      os.remove(os.path.join(folder, name))
