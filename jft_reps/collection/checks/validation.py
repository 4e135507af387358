"""What is wrong with record sets: manifests, label maps, ids, labels, boxes, masks, keypoints.

Other programs stop at the first fault of a set, and a reader leaves bad records out and counts
them. Here everything is looked at and every fault is told.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np

from jft_reps import errors
from jft_reps.collection.checks import records, shards
from jft_reps.collection.checks import sets as set_checks
from jft_reps.collection.checks.findings import Findings
from jft_reps.data.records import keypoint_schema, label_map, manifest


@dataclasses.dataclass(frozen=True)
class Report:
  """What `validate` found, and what the sets hold."""

  findings: Findings
  sets: list[set_checks.SetSummary]


def splits_of(directory: str | os.PathLike) -> list[str]:
  """Names of all sets in a folder.

  Raises:
    errors.DataError: it has none.
  """
  names = os.listdir(directory) if os.path.isdir(directory) else []
  found = sorted(n[9:-5] for n in names if n.startswith("manifest-") and n.endswith(".json"))
  if not found:
    raise errors.DataError("no-manifest", directory, f"no manifest among {len(names)} files",
                           "a folder of record sets", "Build records with build_records.")
  return found


def validate(
    sets: Sequence[tuple[str, str]],
    decode: bool = False,
    hierarchy_ids: Sequence[str] | None = None,
    most: int = 5,
    processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
  """Examines record sets that are to be used together, such as training and evaluation splits.

  Memory holds 8 bytes per picture of all sets but the largest, and the ids of a few shards.

  Args:
    sets: (directory, split) of each.
    decode: look at every pixel, not only at headers.
    hierarchy_ids: ids of the hierarchy in class order, which the labels have to be.
    most: findings of a kind that are kept; the rest are counted.
    processes: that examine shards; 1 stays in this one.
    progress: called as `progress(shards done, shards)`.

  Returns:
    All findings. A shard whose file is damaged is reported and not examined further, nor is a
    subset whose index is; a subset is held against its manifest only where the set whose shards it
    reads is examined too.

  Raises:
    errors.DataError: a process ended early.
  """
  findings = Findings(most)
  opened = _opened(sets, findings)
  names = [_names(record_set, findings) for record_set in opened]
  set_checks.compare_labels(opened, names, hierarchy_ids, findings)
  set_checks.compare_keypoints(opened, findings)
  summaries, jobs = [], []
  known = {(s.directory, s.split) for s in opened}
  for record_set, labels in zip(opened, names):
    origin = origin_of(record_set)
    rules = _rules(record_set, len(labels or hierarchy_ids or ()), findings)
    summary = set_checks.SetSummary(record_set.directory, record_set.split, origin, labels,
                                    np.zeros(rules.num_classes, np.int64))
    if origin != (record_set.directory, record_set.split):
      whole = _check_subset(record_set, findings)
      if origin in known or not whole:
        summary.shards, summary.records = len(record_set.shards), record_set.records
        summary.examined = False
    summaries.append(summary)
    jobs.append([] if not summary.examined else [
        shards.Job(record_set.directory, shard, rules, decode, most, record_set.bit_index, i)
        for i, shard in enumerate(record_set.shards)])
  _examine(summaries, jobs, processes, findings, progress)
  return Report(findings, summaries)


def origin_of(record_set: manifest.RecordSet) -> tuple[str, str]:
  """(directory, split) of the shards that a set reads: its own, or of what it is a subset of."""
  subset = record_set.metadata.get("subset")
  return record_set.directory, subset["base"] if subset else record_set.split


def _opened(
    sets: Sequence[tuple[str, str]], findings: Findings
) -> list[manifest.RecordSet]:
  """The sets whose manifests can be read, their shards not looked at yet."""
  found = []
  for directory, split in sets:
    try:
      found.append(manifest.read(os.fspath(directory), split))
    except errors.DataError as error:
      findings.add_error(error)
  return found


def _check_subset(record_set: manifest.RecordSet, findings: Findings) -> bool:
  """Holds a subset against its index and the sets it is of; whether its own files are right."""
  try:
    if (of := manifest.outdated(record_set)) is not None:
      findings.add("subset-of-another", set_checks.where(record_set), f"split {of} was made again "
                   "since this subset of it, which need not lie in it now")
    manifest.check(record_set)
  except errors.DataError as error:
    findings.add_error(error)
    return False
  return True


def _names(record_set: manifest.RecordSet, findings: Findings) -> tuple[str, ...]:
  """Class ids of a set; empty where there are none or they cannot be read."""
  try:
    found = label_map.labels_of(record_set)
  except errors.DataError as error:
    findings.add_error(error)
    return ()
  if found is None:
    findings.add("no-labels", set_checks.where(record_set), "the manifest names no label map")
  return found or ()


def _rules(
    record_set: manifest.RecordSet, num_classes: int, findings: Findings
) -> records.Rules:
  points = 0
  if record_set.metadata.get("keypoints") is not None:
    try:
      points = keypoint_schema.from_json(
          record_set.metadata["keypoints"], set_checks.where(record_set)).count
    except errors.DataError as error:
      findings.add_error(error)
  annotations = str(record_set.metadata.get("annotations", ""))
  return records.Rules(num_classes, annotations, points)


def _examine(
    summaries: Sequence[set_checks.SetSummary], jobs: Sequence[Sequence[shards.Job]],
    processes: int, findings: Findings, progress: Callable[[int, int], None],
) -> None:
  """Runs all jobs and counts what they find, small sets first."""
  size = lambda i: sum(job.shard.records for job in jobs[i])
  plan = [(i, job) for i in sorted(range(len(jobs)), key=size) for job in jobs[i]]
  overlaps = set_checks.Overlaps()
  examined = shards.examine_all((job for _, job in plan), min(processes, max(1, len(plan))))
  for done, ((i, _), shard) in enumerate(zip(plan, examined), 1):
    findings.merge(shard.findings)
    summaries[i].add(shard)
    overlaps.add(summaries[i], shard, findings, last=i == plan[-1][0])
    progress(done, len(plan))
