"""Speed and memory of FastEval mAP@100 at the paper's size: 14,000 pictures x 18,291 classes.

`python -m experiments.benchmarks.fasteval_speed` prints one JSON line. Scores are made batch by
batch in one buffer, outside the measured time, and look like logits: a class prior with a long
tail, noise, and some signal at about 37 labels per picture. Measured are all calls of `update`
and `result`. Beside it:

* memory: the highest resident size over that of the process just before, the batch included;
* correctness: a second pass over the same batches finds the AP of a sample of classes from places
  counted one by one and plain loops;
* baseline: sorting every row fully (`numpy.argsort`), in turn with `update` on two batches;
* worst case: all scores equal, so that every row ties at the k-th place.
"""

from __future__ import annotations

import json
import time

import numpy as np
from absl import app, flags

from jft_reps.metrics import fasteval

_PICTURES = flags.DEFINE_integer("pictures", 14_000, "Pictures.", lower_bound=1)
_CLASSES = flags.DEFINE_integer("classes", 18_291, "Classes.", lower_bound=50)
_BATCH = flags.DEFINE_integer("batch", 250, "Pictures in a batch.", lower_bound=1)
_SAMPLE = flags.DEFINE_integer(
    "sample", 40, "Classes checked by brute force, evenly in the logarithm of their index.",
    lower_bound=1)
_K = 100


class Resident:
  """Resident memory of this process in MB, from Linux's /proc."""

  def __init__(self):
    try:
      with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew from here
    except OSError:
      pass  # then the peak covers the whole process, which only overstates
    self._before = self._read("VmRSS")

  def peak_above_start(self) -> float:
    return self._read("VmHWM") - self._before

  def _read(self, key: str) -> float:
    with open("/proc/self/status") as file:
      return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024


def make_batches(pictures: int, classes: int, batch: int, seed: int = 0):
  """Yields ids, scores float32 `[n, classes]` and labels uint8, alike, in buffers used again."""
  rng = np.random.default_rng(seed)
  prior = (-np.log(np.arange(1, classes + 1)) * 0.6).astype(np.float32)
  frequency = 1 / np.arange(1, classes + 1) ** 0.8
  cumulative = np.cumsum(frequency / frequency.sum())
  scores, labels = np.empty((batch, classes), np.float32), np.empty((batch, classes), np.uint8)
  for start in range(0, pictures, batch):
    n = min(batch, pictures - start)
    rng.standard_normal(out=scores[:n], dtype=np.float32)
    scores[:n] += prior
    labels[:n] = 0
    columns = np.searchsorted(cumulative, rng.random((n, 45))).clip(max=classes - 1)
    labels[np.arange(n)[:, None], columns] = 1
    scores[np.arange(n)[:, None], columns] += np.float32(2)
    yield [f"{i:08d}" for i in range(start, start + n)], scores[:n], labels[:n]


class BruteForce:
  """AP of a few classes: the place of each in each picture by counting, then plain loops."""

  def __init__(self, classes: np.ndarray):
    self._entries = {int(c): [] for c in classes}
    self._positives = dict.fromkeys(self._entries, 0)

  @property
  def classes(self) -> list[int]:
    return list(self._entries)

  def update(self, scores: np.ndarray, labels: np.ndarray) -> None:
    for c, entries in self._entries.items():
      own = scores[:, c, None]
      place = (scores > own).sum(axis=1) + (scores[:, :c] == own).sum(axis=1)
      self._positives[c] += int(labels[:, c].sum())
      for row in np.flatnonzero(place < _K):
        entries.append((float(own[row, 0]), bool(labels[row, c])))

  def average_precision(self, c: int) -> float:
    total = 0.0
    for score, hit in self._entries[c]:
      if hit:
        above = [h for s, h in self._entries[c] if s >= score]
        total += sum(above) / len(above)
    return total / self._positives[c] if self._positives[c] else float("nan")


def stream(size: tuple[int, int, int]) -> tuple[fasteval.FastEvalResult, float, float]:
  """The evaluation alone: result, seconds in FastEval, peak megabytes above the start."""
  resident = Resident()
  evaluation, seconds = fasteval.FastEval(size[1], _K), 0.0
  for ids, scores, labels in make_batches(*size):
    start = time.perf_counter()
    evaluation.update(ids, scores, labels)
    seconds += time.perf_counter() - start
  start = time.perf_counter()
  result = evaluation.result()
  seconds += time.perf_counter() - start
  return result, seconds, resident.peak_above_start()


def check(result: fasteval.FastEvalResult, size: tuple[int, int, int],
          sample: int) -> tuple[int, float]:
  """Classes with an AP in the sample, and the largest difference to brute force."""
  spread = np.geomspace(1, size[1], sample).astype(int) - 1
  brute = BruteForce(np.unique(spread))
  for _, scores, labels in make_batches(*size):
    brute.update(scores, labels)
  pairs = [(brute.average_precision(c), result.per_class[c]) for c in brute.classes]
  for one, other in pairs:
    if np.isnan(one) != np.isnan(other):
      raise AssertionError("brute force and FastEval disagree on which classes are defined")
  differences = [abs(one - other) for one, other in pairs if not np.isnan(one)]
  return len(differences), max(differences)


def per_picture(size: tuple[int, int, int]) -> dict[str, float]:
  """Seconds per picture on two batches, in turn: full sort, `update`, `update` on equal scores."""
  spent, pictures = {"argsort": 0.0, "update": 0.0, "tied": 0.0}, 0
  fast, tied = (fasteval.FastEval(size[1], _K) for _ in range(2))
  for ids, scores, labels in make_batches(min(size[0], 2 * size[2]), *size[1:]):
    pictures += len(ids)
    for name, work in (("argsort", lambda s: np.argsort(-s, axis=1)[:, :_K]),
                       ("update", lambda s: fast.update(ids, s, labels)),  # noqa: B023
                       ("tied", lambda s: tied.update(ids, s, labels))):  # noqa: B023
      given = np.zeros_like(scores) if name == "tied" else scores
      start = time.perf_counter()
      work(given)
      spent[name] += time.perf_counter() - start
  return {name: seconds / pictures for name, seconds in spent.items()}


def main(argv: list[str]) -> None:
  del argv
  size = (_PICTURES.value, _CLASSES.value, _BATCH.value)
  result, seconds, extra = stream(size)
  checked, difference = check(result, size, _SAMPLE.value)
  each = per_picture(size)
  print(json.dumps({
      "benchmark": "fasteval_speed", "pictures": size[0], "classes": size[1], "batch": size[2],
      "seconds": round(seconds, 2), "bar_seconds": 30,
      "extra_mb": round(extra, 1), "bar_mb": 300,
      "max_difference": difference, "bar_difference": 1e-9, "classes_checked": checked,
      "speedup_over_argsort": round(each["argsort"] / each["update"], 1),
      "argsort_seconds_projected": round(each["argsort"] * size[0], 1),
      "all_tied_seconds_projected": round(each["tied"] * size[0], 1),
      "met": bool(seconds <= 30 and extra <= 300 and difference <= 1e-9),
      "mAP@100": result.value, "definition": result.definition}))


if __name__ == "__main__":
  app.run(main)
