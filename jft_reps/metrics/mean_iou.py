"""Mean intersection over union of masks, as PASCAL VOC counts it (`VOCevalseg.m`).

One confusion matrix of pixels over all pictures. IoU of a class is true positives / (true positives
+ false positives + false negatives); pixels that are void in the ground truth are in none of them.
VOC's kit divides by all classes, of which VOC has every one; where a set lacks some, the mean here
is over the classes that truth or prediction has. A class that is predicted but never true counts
with 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jft_reps.errors import ConfigError, DataError, printable
from jft_reps.metrics.pictures import Pictures, unique_labels
from jft_reps.metrics.results import Result, mean

_IDS = 256


class Dominant(NamedTuple):
  """A class that takes nearly all of the predictions, and its shares of the pixels."""

  label: str
  predicted: float
  truth: float


class MeanIoU:
  """Takes pictures one by one; keeps ten bytes per pair of classes that meet in a picture.

  Args:
    labels: names of the classes, in the order of their ids.
    void: id in the ground truth of pixels that do not count.

  Raises:
    ConfigError: a label twice, or `void` is the id of a class or more than 255.
  """

  def __init__(self, labels: Sequence[str], void: int = 255):
    self._labels, self._void = unique_labels(labels), void
    if not len(self._labels) <= void < _IDS:
      raise ConfigError("void-id", "void", f"{void} with {len(self._labels)} classes",
                        f"{len(self._labels)} to 255", "Masks of one byte hold 255 classes.")
    self._pictures = Pictures("MeanIoU")

  def update(self, picture_id: str, predicted: np.ndarray, truth: np.ndarray) -> None:
    """Takes a picture. One that is refused leaves nothing behind.

    Args:
      picture_id: each once.
      predicted: uint8 `[height, width]` class ids.
      truth: uint8 `[height, width]` class ids and void.

    Raises:
      DataError: a picture twice, other shapes or types, an id out of range, predicted void.
    """
    name = self._pictures.new(picture_id)
    where = f"picture {printable(name)!r}"
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    for kind, mask in (("prediction", predicted), ("truth", truth)):
      if mask.dtype != np.uint8 or mask.ndim != 2:
        raise DataError("mask-type", where, f"{kind} of dtype {mask.dtype} and shape "
                        f"{list(mask.shape)}", "uint8 [height, width]")
    if predicted.shape != truth.shape:
      raise DataError("mask-shape", where, f"prediction of shape {list(predicted.shape)}, truth of "
                      f"{list(truth.shape)}", "one size", "Evaluate at the picture's stored size.")
    # One number for each pair of classes, so that one count over the pixels has them all.
    counts = np.bincount((truth.astype(np.uint16) * _IDS + predicted).ravel(),
                         minlength=_IDS * _IDS)
    pairs = np.flatnonzero(counts)
    rows, columns = np.divmod(pairs, _IDS)
    void = rows == self._void
    self._require_classes(rows[~void], where, "truth", f", or {self._void} for void")
    self._require_classes(columns, where, "prediction", "; void is no prediction")
    met = pairs[~void]
    self._pictures.add(name, (met.astype(np.uint16), counts[met], int(counts[pairs[void]].sum())))

  def result(self, exclude_ids: Iterable[Any] | None = None) -> Result:
    """The numbers over all pictures so far; more may follow.

    Args:
      exclude_ids: pictures to leave out; the result equals that of a run without them.

    Raises:
      ConfigError: `exclude_ids` is a single string.
    """
    kept = self._pictures.without(exclude_ids)
    total = np.zeros(_IDS * _IDS, np.int64)
    for pairs, counts, _ in kept:
      total[pairs] += counts  # each pair is there once
    n = len(self._labels)
    confusion = total.reshape(_IDS, _IDS)[:n, :n]
    hits, truth, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    pixels = int(total.sum())
    rows = {label: {"IoU": _ratio(hits[c], truth[c] + predicted[c] - hits[c]),
                    "truth": _ratio(truth[c], pixels), "predicted": _ratio(predicted[c], pixels)}
            for c, label in enumerate(self._labels)}
    ious = [row["IoU"] for row in rows.values()]
    numbers = {"mIOU": mean(ious), "pixel accuracy": _ratio(hits.sum(), pixels),
               "mean accuracy": mean([_ratio(hits[c], truth[c]) for c in range(n)])}
    void, excluded = sum(picture[2] for picture in kept), len(self._pictures) - len(kept)
    return Result(
        numbers, rows, ious.count(None), len(kept), excluded,
        f"mIOU (intersection over union of pixels in one confusion matrix of all pictures, mean "
        f"over {n - ious.count(None)} of {n} classes that truth or prediction has; mean accuracy "
        f"over {np.count_nonzero(truth)} that truth has; {void:,} void pixels ignored, {pixels:,} "
        f"counted; {len(kept):,} pictures, {excluded:,} left out)")

  def guessing(self, exclude_ids: Iterable[Any] | None = None) -> dict[str, float]:
    """What saying the commonest class of every pixel gives."""
    shares = [row["truth"] or 0.0 for row in self.result(exclude_ids).per_class.values()]
    classes = sum(share > 0 for share in shares)
    if not classes:
      return {}
    # Its IoU is its share; the other classes of the truth have none.
    return {"mIOU": max(shares) / classes, "pixel accuracy": max(shares),
            "mean accuracy": 1 / classes}

  def dominant(self, over: float = 0.99) -> Dominant | None:
    """The class that takes more than this share of the predicted pixels so far, if one does.

    A network that says the same everywhere has not learned yet, or has lost what it knew.
    """
    for label, row in self.result().per_class.items():
      predicted, truth = row["predicted"], row["truth"]
      if predicted is not None and truth is not None and predicted > over:
        return Dominant(label, predicted, truth)
    return None

  def _require_classes(self, ids: np.ndarray, where: str, kind: str, also: str) -> None:
    wrong = ids[ids >= len(self._labels)]
    if wrong.size:
      raise DataError("mask-class", where, f"id {wrong[0]} in the {kind}",
                      f"0 to {len(self._labels) - 1}{also}",
                      "Do the labels belong to these masks?")


def _ratio(part: int, whole: int) -> float | None:
  return float(part / whole) if whole else None
