"""All records of one shard, examined one after another: what worker processes of a check run."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import itertools
import multiprocessing
import os
import re
from collections.abc import Iterable, Iterator

import numpy as np

from jft_reps import errors
from jft_reps.collection.checks import pictures
from jft_reps.collection.checks import records as record_checks
from jft_reps.collection.checks.findings import Findings
from jft_reps.data.records import framing, manifest, schema, writing
from jft_reps.data.records.bit_index import BitIndex

_NAME = re.compile(r".*-(\d+)-of-(\d+)\.tfrecord")
_LARGEST_RECORD = 32 << 20  # parsed numbers take eight times as much


@dataclasses.dataclass(frozen=True)
class Job:
  """One shard to examine.

  Attributes:
    directory: of the shard.
    shard: what the manifest says of it.
    rules: of its set.
    decode: look at every pixel.
    most: findings of a kind to keep.
    index: which of its records belong to the set; None: all of the leading ones it uses.
    number: of the shard in the index.
  """

  directory: str
  shard: manifest.Shard
  rules: record_checks.Rules
  decode: bool = False
  most: int = 5
  index: BitIndex | None = None
  number: int = 0


@dataclasses.dataclass
class Examined:
  """What a shard holds.

  Attributes:
    findings: what is wrong with it.
    counts: int64 `[classes]`, pictures per class as listed.
    whole: whether the file is as its manifest says; its records are not examined otherwise.
    ids: of its pictures, those without one left out.
    hashes: float64, one per id.
    records: number of records.
    labels: of all pictures, each once.
    most_labels: on one picture.
    boxes: of all pictures.
  """

  findings: Findings
  counts: np.ndarray
  whole: bool = True
  ids: list[str] = dataclasses.field(default_factory=list)
  hashes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
  records: int = 0
  labels: int = 0
  most_labels: int = 0
  boxes: int = 0


def examine_all(jobs: Iterable[Job], processes: int) -> Iterator[Examined]:
  """What `examine` says of every shard, in order.

  Args:
    jobs: the shards.
    processes: that examine them; 1 stays in this one.

  Raises:
    errors.DataError: a process ended early.
  """
  if processes == 1:
    yield from map(examine, jobs)
    return
  waiting: collections.deque = collections.deque()
  remaining = iter(jobs)
  context = multiprocessing.get_context("spawn")
  with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
    try:
      while True:
        for job in itertools.islice(remaining, 2 * processes - len(waiting)):
          waiting.append((job, pool.submit(examine, job)))
        if not waiting:
          return
        job, result = waiting.popleft()
        yield result.result()
    except concurrent.futures.process.BrokenProcessPool:
      raise errors.DataError(
          "process-died", job.shard.file, "a process that examines records ended early",
          fix="Out of memory or killed? Try fewer --processes.") from None
    finally:
      pool.shutdown(cancel_futures=True)


def examine(job: Job) -> Examined:
  """Holds a shard against its manifest, reads every record and says what is wrong."""
  found = Examined(Findings(job.most), np.zeros(job.rules.num_classes, np.int64))
  alone = manifest.RecordSet(job.directory, "shard", (job.shard,), {})
  try:
    manifest.check(alone, full=True)
    _examine_records(job, alone.paths[0], found)
  except errors.DataError as error:
    found.findings.add_error(error)
    found.whole = False
  except OSError as error:
    found.findings.add("unreadable-shard", job.shard.file, error.strerror or "vanished")
    found.whole = False
  return found


def _examine_records(job: Job, path: str, found: Examined) -> None:
  """Adds what the records of a file hold that belong to the set."""
  order, hashes = _Order(path), []
  inside = np.ones(job.shard.use, bool) if job.index is None else job.index.bits(job.number)
  with open(path, "rb") as file:
    for number, (offset, length) in enumerate(itertools.islice(framing.walk(path), job.shard.use)):
      if not inside[number]:
        continue
      where = f"{job.shard.file} record {number}"
      found.records += 1
      if length > _LARGEST_RECORD:
        found.findings.add("large_record", where, f"{length:,} bytes; expected at most "
                           f"{_LARGEST_RECORD:,}")
        continue
      file.seek(offset + framing.HEADER)
      record = record_checks.read(file.read(length), job.rules)
      problems = [*record.problems, *pictures.examine(record.values, job.rules, job.decode)]
      if record.picture_id:
        where += f", picture {errors.printable(record.picture_id)!r}"
        hashes.append(writing.unit_hash(record.picture_id))
        found.ids.append(record.picture_id)
        problems += order.problems(record.picture_id, hashes[-1])
      for reason, text in problems:
        found.findings.add(reason, where, text)
      _count(record, found)
  found.hashes = np.array(hashes)


def _count(record: record_checks.Record, found: Examined) -> None:
  labels = set(record.labels)
  found.counts[[v for v in labels if 0 <= v < len(found.counts)]] += 1
  found.labels += len(labels)
  found.most_labels = max(found.most_labels, len(labels))
  found.boxes += len(record.values[schema.OBJECT_LABEL])


class _Order:
  """Whether ids belong to this shard, come in order of their hashes, and once."""

  def __init__(self, path: str):
    named = _NAME.fullmatch(os.path.basename(path))
    self._place = (int(named[1]), int(named[2])) if named else None
    self._last = -1.0
    self._seen: set[str] = set()

  def problems(self, picture_id: str, value: float) -> list[record_checks.Problem]:
    found = []
    if picture_id in self._seen:
      found.append(("duplicate_id", "the same id again in this shard"))
    elif value < self._last:
      found.append(("unsorted", f"hash {value:.6f} after {self._last:.6f}; subsets by hash need "
                    "an ascending order"))
    if self._place is not None:
      shard, shards = self._place
      if int(value * shards) != shard:
        found.append(("wrong_shard", f"its hash {value:.6f} belongs to shard "
                      f"{int(value * shards)} of {shards}"))
    self._seen.add(picture_id)
    self._last = max(self._last, value)
    return found
