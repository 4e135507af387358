"""Labels of a record set, measured and written: statistics, precision, a FastEval set.

The functions give lines of text for people as they come, and write files for programs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

from jft_reps import whole_files
from jft_reps.collection.labels import fasteval_set, precision, statistics, verdicts
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.records import label_map, manifest
from jft_reps.errors import DataError


def measure(
    directory: str, split: str, hierarchy: Hierarchy | None, output: str | os.PathLike,
    truth: str | None = None, dense: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[str]:
  """Statistics of a set, and the precision of its labels where verdicts are known.

  Args:
    directory: folder of the records.
    split: name of the set.
    hierarchy: whose nodes are the classes, or None.
    output: folder to write.
    truth: verdicts on labels, a CSV or a split of the same pictures.
    dense: every class was looked for, so that what `truth` does not list is false.
    progress: called as `progress(pictures, of all)`.

  Yields:
    Text to print.

  Raises:
    errors.DataError: no vocabulary, or another one than the hierarchy's; bad verdicts or records.
    errors.StorageError: a file cannot be written.
  """
  record_set, labels = _opened(directory, split, hierarchy)
  found = statistics.measure(record_set, labels, hierarchy, progress)
  paths = statistics.write(found, output)
  yield f"\n{found.text()}"
  if truth is not None:
    known = _verdicts(directory, truth, hierarchy, labels, dense)
    judged = precision.measure(record_set, len(labels), known, hierarchy)
    text = "\n".join([known.text, *(one.text() for one in judged)])
    paths += whole_files.write_all(output, {
        "label_precision.txt": f"{text}\n".encode(),
        "label_precision.json": json.dumps([one.to_json() for one in judged], indent=1).encode(),
        "label_precision.csv": precision.class_table(judged[-1], labels).encode()})
    yield text
  yield f"wrote {', '.join(paths)}"


def choose_fasteval(
    directory: str, split: str, hierarchy: Hierarchy | None, output: str | os.PathLike,
    least: int = 1, prevalence: str | None = None,
) -> Iterator[str]:
  """The classes and weights by which FastEval judges on a densely labelled set.

  Args:
    directory: folder of the records.
    split: name of the set.
    hierarchy: whose nodes are the classes, or None.
    output: folder to write.
    least: pictures that a class needs.
    prevalence: split whose prevalence weights the classes; None: the set's own.

  Yields, raises: as `measure`.
  """
  record_set, labels = _opened(directory, split, hierarchy)
  weighting = _opened(directory, prevalence, hierarchy)[0] if prevalence else None
  found = fasteval_set.choose(record_set, labels, hierarchy, least, weighting)
  classes, weights = fasteval_set.write(found, output)
  yield f"{split}: {found.text}"
  yield f"use --config.task.eval_classes={classes} --config.task.class_weights={weights}"


def _opened(
    directory: str, split: str, hierarchy: Hierarchy | None
) -> tuple[manifest.RecordSet, tuple[str, ...]]:
  """(record set, class ids)."""
  record_set = manifest.load(directory, split)
  stored, own = label_map.labels_of(record_set), None if hierarchy is None else hierarchy.ids
  labels = stored or own
  if labels is None:
    raise DataError("no-labels", manifest.path_of(directory, split), "neither a hierarchy nor "
                    "labels.txt", "a vocabulary", "Give --hierarchy.")
  if own is not None and labels != own:
    raise DataError("labels-differ", manifest.path_of(directory, split), f"{len(labels)} labels",
                    f"the {len(own)} of the hierarchy, in its order")
  return record_set, labels


def _verdicts(directory: str, truth: str, hierarchy: Hierarchy | None, labels: tuple[str, ...],
              dense: bool) -> verdicts.Verdicts:
  if os.path.isfile(truth):
    return verdicts.from_csv(truth, labels, dense)
  return verdicts.from_records(_opened(directory, truth, hierarchy)[0], len(labels), dense)
