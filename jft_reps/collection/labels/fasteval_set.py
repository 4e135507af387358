"""Which classes FastEval evaluates on a densely labelled set, and how much each weighs.

The paper evaluates about 6,000 of 18,291 classes on FastEval14k and weights them by how common
they are in pictures of social media, which is not public (section 4.2).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Sequence

import numpy as np

from jft_reps import errors, whole_files
from jft_reps.collection.labels import lists
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.records import manifest


@dataclasses.dataclass(frozen=True)
class FastEvalSet:
  """The classes to evaluate.

  Attributes:
    ids: of all classes, in class order.
    classes: int64, indices of those to evaluate, ascending.
    positives: int64 `[classes]`, pictures of the evaluation set that carry each class.
    prevalence: `[classes]`, share of the pictures of the weighting set that carry each class.
    pictures: of the evaluation set.
    ancestors: whether labels imply those above them.
  """

  ids: tuple[str, ...]
  classes: np.ndarray
  positives: np.ndarray
  prevalence: np.ndarray
  pictures: int
  ancestors: bool = True

  @property
  def text(self) -> str:
    weights = self.prevalence[self.classes]
    unseen = int((weights == 0).sum())
    return (f"{len(self.classes):,} of {len(self.ids):,} classes on {self.pictures:,} pictures, "
            f"{self.positives.sum() / self.pictures:.1f} labels a picture"
            f"{' with ancestors' if self.ancestors else ''}, "
            f"weights {weights.min():.2g} to {weights.max():.2g}"
            + (f"; {unseen:,} classes weigh nothing" if unseen else ""))


def counts(
    record_set: manifest.RecordSet, num_classes: int, hierarchy: Hierarchy | None
) -> tuple[np.ndarray, int]:
  """Pictures per class, ancestors added, int64 `[classes]`; and the number of pictures."""
  closure = None if hierarchy is None else hierarchy.closure()
  found, pictures = np.zeros(num_classes, np.int64), 0
  for batch in lists.batches(record_set, num_classes):
    pairs = lists.expand(batch.labels, closure)
    found += np.bincount(pairs.classes, minlength=num_classes)
    pictures += len(batch.ids)
  return found, pictures


def choose(
    evaluation: manifest.RecordSet, ids: Sequence[str], hierarchy: Hierarchy | None = None,
    least: int = 1, weighting: manifest.RecordSet | None = None,
) -> FastEvalSet:
  """The classes with enough pictures, ancestors counted as evaluation does.

  Args:
    evaluation: the densely labelled set.
    ids: of the classes, in class order.
    hierarchy: whose ids these are.
    least: pictures a class needs.
    weighting: the set whose prevalence weights the classes, such as the training set; None: the
      evaluation set itself.

  Raises:
    errors.DataError: no class has as many, or all of them weigh nothing.
  """
  positives, pictures = counts(evaluation, len(ids), hierarchy)
  common, of = (positives, pictures) if weighting is None else counts(
      weighting, len(ids), hierarchy)
  where = f"{evaluation.directory}, split {evaluation.split}"
  classes = np.flatnonzero(positives >= max(least, 1))
  if not len(classes):
    raise errors.DataError("no-evaluated-class", where, f"at most {positives.max(initial=0)} "
                           "pictures of a class", f"a class with {least}")
  if weighting is not None and not common[classes].any():
    raise errors.DataError("class-weights-zero", where, "every evaluated class is absent from "
                           f"split {weighting.split}", "at least one that is not")
  return FastEvalSet(tuple(ids), classes, positives, common / max(of, 1), pictures,
                     hierarchy is not None)


def write(found: FastEvalSet, folder: str | os.PathLike) -> list[str]:
  """Writes eval_classes.txt and class_weights.csv, as the task `pretrain` reads them; their paths.

  Raises:
    errors.DataError: an id cannot stand in a CSV of weights, where `#` starts a comment.
    errors.StorageError: the folder cannot be written.
  """
  named = [found.ids[i] for i in found.classes]
  for name in named:
    if name.startswith("#"):
      raise errors.DataError("class-id", "label map", f"class {errors.printable(name)!r}",
                             "ids that do not start with '#', which is a comment in a CSV")
  out = io.StringIO()
  table = csv.writer(out, lineterminator="\n")
  table.writerow(("id", "weight"))
  table.writerows((name, repr(float(w))) for name, w in zip(named, found.prevalence[found.classes]))
  return whole_files.write_all(folder, {
      "eval_classes.txt": "".join(f"{name}\n" for name in named).encode(),
      "class_weights.csv": out.getvalue().encode()})
