"""FastEval: mAP@100 over many classes, streamed over pictures with bounded memory.

Sun et al. 2017, section 4.2, watch pre-training by "mAP@100" on 14,000 densely labelled pictures of
about 6,000 classes, after Chollet 2017 (Xception), who weights each class by how common it is.
Neither says more, so the definition used is written into every result:

* Each picture keeps its k best classes. `restrict="before"` chooses them among the evaluated
  classes; `"after"` among all classes and then drops those not evaluated.
* `reading="class"`: AP_c = (sum over hits of precision) / (pictures labelled c), where the pictures
  that kept class c are ranked by score; mAP = sum w_c AP_c / sum w_c over the classes with at least
  one positive. The others are undefined: left out, and counted.
* `reading="picture"`: AP@k of each picture with every label's contribution weighted by w_c, divided
  by the sum of its min(k, labels) largest w_c; the mean over pictures with a label that counts.

A perfect scorer reaches 1.0 in the class-wise reading only if no picture has more than k labels
(evaluated ones for "before", of all classes for "after"). Ties: see `average_precision`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jft_reps.errors import ConfigError, DataError, printable
from jft_reps.metrics import average_precision, score_batches
from jft_reps.metrics import class_weights as class_weights_lib
from jft_reps.metrics.class_results import FastEvalResult, write_csv
from jft_reps.metrics.class_weights import ClassWeights, read_class_weights

__all__ = ["ClassWeights", "FastEval", "FastEvalResult", "mean_average_precision",
           "read_class_weights", "write_csv"]

_CHUNK = 1 << 18  # scores looked at together: what fits the cache, and bounds the memory
_THIRDS = ("head", "middle", "tail")
_Kept = tuple[np.ndarray, np.ndarray, np.ndarray]  # scores, classes, hits; [n, kept]


class FastEval:
  """Takes batches of scores and labels; keeps k classes and the labels of each picture.

  Args:
    num_classes: classes of the model.
    k: predictions kept per picture.
    class_weights: `[num_classes]` numbers or `ClassWeights`; None: prevalence in this set.
    classes: indices or bool mask of the evaluated classes; None: all.
    restrict: "before" or "after", see above.
    reading: "class" or "picture", see above.
    groups: class indices by name (levels of a hierarchy, leaves) for further unweighted means.
    train_counts: `[num_classes]` training pictures per class. Head, middle and tail are thirds of
      the defined classes, ordered by this or else by positives in this set.

  Raises:
    ConfigError: a value that is none of the above.
    DataError: class weights that do not fit.
  """

  def __init__(
      self, num_classes: int, k: int = 100,
      class_weights: ClassWeights | Sequence[float] | np.ndarray | None = None,
      classes: Sequence[int] | np.ndarray | None = None, restrict: str = "before",
      reading: str = "class", groups: Mapping[str, Sequence[int]] | None = None,
      train_counts: Sequence[int] | np.ndarray | None = None,
  ):
    for key, size in {"num_classes": num_classes, "k": k}.items():
      if not isinstance(size, (int, np.integer)) or size < 1:
        raise ConfigError("fasteval-size", key, f"{size!r}", "an integer, at least 1")
    for key, value, known in (("restrict", restrict, ("before", "after")),
                              ("reading", reading, ("class", "picture"))):
      if value not in known:
        raise ConfigError("fasteval-option", key, repr(value), " or ".join(known))
    self._width, self._k, self._restrict, self._reading = num_classes, k, restrict, reading
    self._evaluated = _mask(range(num_classes) if classes is None else classes, num_classes,
                            "classes")
    if not self._evaluated.any():
      raise ConfigError("fasteval-classes", "classes", "no class", "at least one evaluated class")
    self._weights = (None if class_weights is None
                     else class_weights_lib.checked(class_weights, self._evaluated))
    self._groups = {name: _mask(c, num_classes, f"groups[{printable(name)!r}]")
                    for name, c in (groups or {}).items()}
    taken = {*_THIRDS, f"mAP@{k}", f"macro mAP@{k}", "classes", "undefined"} & set(self._groups)
    if taken:
      raise ConfigError("fasteval-group", "groups", f"the name {min(taken)!r}", "another name")
    self._train_counts = None if train_counts is None else np.asarray(train_counts, np.float64)
    if self._train_counts is not None and self._train_counts.shape != (num_classes,):
      raise ConfigError("fasteval-counts", "train_counts", f"shape {self._train_counts.shape}",
                        f"({num_classes},)")
    self._ids: dict[str, None] = {}  # in the order they came
    self._labels = [np.zeros(0, np.int64)]
    self._kept = [self._keep(np.zeros((0, num_classes), np.float32), 0, self._labels[0])]

  def update(self, ids: Sequence[Any], scores: Any, labels: Any = None, *,
             label_ids: Any = None) -> None:
    """Takes one batch. A batch that is refused leaves nothing behind.

    Args:
      ids: `[n]` str or bytes, each picture once over all batches.
      scores: `[n, num_classes]`, finite; higher is better. Compared exactly as given.
      labels: 0 or 1, `[n, num_classes]`. Or else:
      label_ids: `[n, m]` class indices padded with -1, or n lists of them.

    Raises:
      DataError: shapes that do not fit, a repeated id, a score that is NaN or infinite, a label
        that is neither 0 nor 1, a label id out of range.
    """
    scores, new = score_batches.as_scores(scores), self._new_ids(ids)
    if scores.shape != (len(new), self._width):
      raise DataError("score-shape", "scores", f"shape {list(scores.shape)}",
                      f"[{len(new)}, {self._width}]")
    if (labels is None) == (label_ids is None):
      raise ConfigError("fasteval-labels", "update", "both or neither of labels and label_ids",
                        "one of them")
    step = max(1, _CHUNK // self._width)
    chunks = [slice(i, i + step) for i in range(0, len(new), step)]
    score_batches.require_finite(scores, chunks, new)
    if labels is not None:
      keys = score_batches.dense_keys(labels, chunks, new, self._width)
    else:
      keys = score_batches.padded_keys(label_ids, new, self._width)
    kept = [self._keep(scores[chunk], chunk.start, keys) for chunk in chunks]
    self._labels.append(keys + len(self._ids) * self._width)
    self._ids.update(dict.fromkeys(new))
    self._kept += kept

  def _new_ids(self, ids: Sequence[Any]) -> list[str]:
    new = [score_batches.text(i) for i in ids]
    if len(set(new)) < len(new) or not self._ids.keys().isdisjoint(new):
      twice = next(i for n, i in enumerate(new) if i in self._ids or i in new[:n])
      raise DataError("duplicate-picture", "FastEval", f"picture {printable(twice)!r} twice",
                      "each picture once", "Evaluate each record once, or make the ids unique.")
    return new

  def _keep(self, scores: np.ndarray, start: int, keys: np.ndarray) -> _Kept:
    if self._restrict == "before" and not self._evaluated.all():
      columns = np.flatnonzero(self._evaluated)
      values, places = average_precision.top_k(np.take(scores, columns, axis=1), self._k)
      classes = columns.astype(np.int32)[places]
    else:
      values, classes = average_precision.top_k(scores, self._k)
    rows = np.arange(start, start + len(scores))[:, None]
    return values, classes, score_batches.is_in(rows * self._width + classes, keys)

  def result(self, exclude_ids: Iterable[Any] | None = None) -> FastEvalResult:
    """The numbers over all pictures so far; more may follow.

    Args:
      exclude_ids: pictures to leave out (near-duplicates of training pictures); the result equals
        that of a run without them. Ids that were never seen are passed over.

    Raises:
      ConfigError: `exclude_ids` is a single string.
    """
    stays = self._stays(exclude_ids)
    values, classes, hits = (np.concatenate(parts)[stays] for parts in zip(*self._kept))
    return self._result(stays, (values, classes, hits))

  def guessing(self, exclude_ids: Iterable[Any] | None = None) -> FastEvalResult:
    """The same numbers of a scorer that knows how common each class is, and sees no picture.

    It keeps the k commonest classes of every picture. Class-wise, where pictures are ranked, it has
    no reason to prefer one: its AP is the mean over all orders.

    Args:
      exclude_ids: as of `result`.
    """
    stays = self._stays(exclude_ids)
    rows, labels = np.divmod(np.concatenate(self._labels), self._width)
    common = np.bincount(labels[stays[rows]], minlength=self._width).astype(np.float64)
    classes = np.tile(self._keep(common[None], 0, np.zeros(0, np.int64))[1], (stays.sum(), 1))
    keys = np.flatnonzero(stays)[:, None] * self._width + classes
    hits = score_batches.is_in(keys, np.concatenate(self._labels))
    return self._result(stays, (common[classes], classes, hits), by_lot=True)

  def _stays(self, exclude_ids: Iterable[Any] | None) -> np.ndarray:
    """Which pictures are not left out, bool `[pictures]`."""
    if isinstance(exclude_ids, (str, bytes)):
      raise ConfigError("fasteval-exclude", "exclude_ids", "one string", "a list of ids")
    excluded = {score_batches.text(i) for i in (() if exclude_ids is None else exclude_ids)}
    return np.array([i not in excluded for i in self._ids], bool)

  def _result(self, stays: np.ndarray, kept: _Kept, by_lot: bool = False) -> FastEvalResult:
    """The numbers of what was kept of the pictures that stay.

    Args:
      stays: bool, over all pictures.
      kept: of those that stay.
      by_lot: all have the same classes kept, and their order in the ranking of a class is drawn.
    """
    values, classes, hits = kept
    rows, labels = np.divmod(np.concatenate(self._labels), self._width)
    rows, labels = rows[stays[rows]], labels[stays[rows]]
    counts = np.bincount(labels, minlength=self._width)
    weights = self._weights or class_weights_lib.prevalence(counts)
    positives = np.where(self._evaluated, counts, 0)
    scaled = np.where(positives > 0, weights.values, 0.0)
    scaled /= scaled.max() or 1.0  # no sum of weights overflows or underflows
    relevant = self._evaluated[classes]
    hits &= relevant
    wanted = self._evaluated[labels]
    if self._reading == "class":
      per_class = (
          average_precision.of_random_order(
              np.isin(np.arange(self._width), classes[:1]), positives, len(classes)) if by_lot else
          average_precision.by_class(
              classes[relevant], values[relevant], hits[relevant], positives))
      value = average_precision.mean(per_class, scaled)
    else:
      value, per_class = average_precision.by_picture(
          classes, hits, relevant, (np.cumsum(stays) - 1)[rows[wanted]], labels[wanted],
          scaled, positives, self._k)
    undefined = int(np.count_nonzero(self._evaluated & (counts == 0)))
    return FastEvalResult(
        value, average_precision.mean(per_class), per_class, counts, self._evaluated.copy(),
        undefined, self._group_means(per_class, positives), int(stays.sum()), int((~stays).sum()),
        self._k, self._definition(undefined, stays, np.unique(rows[wanted]).size, weights.source))

  def _group_means(self, per_class: np.ndarray, positives: np.ndarray) -> dict[str, float]:
    defined = np.flatnonzero(positives)
    order = positives if self._train_counts is None else self._train_counts
    thirds = np.array_split(defined[np.argsort(-order[defined], kind="stable")], 3)
    parts = {**dict(zip(_THIRDS, thirds)), **self._groups}
    return {name: average_precision.mean(per_class[part]) for name, part in parts.items()}

  def _definition(self, undefined: int, stays: np.ndarray, labelled: int, source: str) -> str:
    evaluated = int(self._evaluated.sum())
    ap = ("AP = precision at the hits / pictures labelled, pictures with equal scores as one group"
          if self._reading == "class" else
          "AP = weighted precision at the hits / the largest weights of the labels")
    by = "training" if self._train_counts is not None else "evaluation"
    return (
        f"mAP@{self._k} ({self._reading}-wise, over {evaluated - undefined:,} of {evaluated:,} "
        f"classes with >= 1 positive, weights: {source}; {ap}; each picture's best {self._k} "
        f"of {'the evaluated' if self._restrict == 'before' else 'all'} classes, "
        f"equal scores by class index; {int(stays.sum()):,} of {len(stays):,} pictures, "
        f"{labelled:,} of them with such a label; head, middle, tail: thirds of these classes by "
        f"{by} count)")


def mean_average_precision(
    scores: Any, labels: Any, k: int = 100,
    class_weights: ClassWeights | Sequence[float] | np.ndarray | None = None,
    classes: Sequence[int] | np.ndarray | None = None, restrict: str = "before",
    reading: str = "class", *, groups: Mapping[str, Sequence[int]] | None = None,
    train_counts: Sequence[int] | np.ndarray | None = None,
) -> FastEvalResult:
  """mAP@k of arrays; arguments and errors as for `FastEval`, pictures are named by row.

  Args:
    scores: finite numbers `[pictures, classes]`.
    labels: 0 or 1, `[pictures, classes]`.
    k: predictions kept per picture.
    class_weights: `[classes]` numbers or `ClassWeights`; None: prevalence in `labels`.
    classes: indices or bool mask of the evaluated classes; None: all.
    restrict: "before" or "after".
    reading: "class" or "picture".
    groups: class indices by name.
    train_counts: training pictures `[classes]`.
  """
  scores = score_batches.as_scores(scores)
  if scores.ndim != 2:
    raise DataError("score-shape", "scores", f"shape {list(scores.shape)}", "[pictures, classes]")
  evaluation = FastEval(scores.shape[1], k, class_weights, classes, restrict, reading, groups,
                        train_counts)
  evaluation.update([f"row {i}" for i in range(len(scores))], scores, labels)
  return evaluation.result()


def _mask(classes: Sequence[int] | np.ndarray, num_classes: int, where: str) -> np.ndarray:
  """Bool `[num_classes]` of class indices, each once, or of such a mask."""
  classes = np.asarray(classes)
  if classes.dtype == bool and classes.shape == (num_classes,):
    return classes.copy()
  if classes.size and (classes.dtype.kind not in "iu" or classes.ndim != 1):
    raise ConfigError("fasteval-classes", where, f"{classes.dtype} {list(classes.shape)}",
                      f"class indices, or a mask of {num_classes}")
  classes = classes.astype(np.int64)
  wrong = classes[(classes < 0) | (classes >= num_classes)]
  if wrong.size:
    raise ConfigError("fasteval-classes", where, f"class {wrong[0]}", f"0 to {num_classes - 1}")
  mask = np.bincount(classes, minlength=num_classes)
  if mask.max() > 1:
    raise ConfigError("fasteval-classes", where, f"class {mask.argmax()} twice", "each once")
  return mask > 0
