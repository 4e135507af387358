"""What the pushes report, as curves, lines, a quarantine list and a verdict on lost steps."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Sequence

import numpy as np
from absl import logging

from jft_reps.errors import NumericError
from jft_reps.training.run_directory.directory import RunDirectory
from jft_reps.training.run_directory.events import Events
from jft_reps.training.step import Push

_LISTED_PER_REASON = 20
_WINDOW = 1000  # pushes over which the share of skipped ones is judged


class PushLog:
  """Averages pushes into TensorBoard and `metrics.jsonl`; stops a run that keeps failing.

  Args:
    run: where to write.
    reasons: names of the reasons for dropped records.
    every: pushes per point.
    max_skipped: not-finite pushes in a row that are still borne.
    images: pictures the run has seen before.
    dropped: reads how many records the run has left out, by reason; None where nobody counts.
    describe: a line of text for each row of `Push.quarantined`; it knows the files by name.
    asynchronous: workers push for themselves, so that there is staleness to plot.
  """

  def __init__(self, run: RunDirectory, reasons: Sequence[str], every: int, max_skipped: int,
               images: int = 0,
               dropped: Callable[[], np.ndarray] | None = None,
               describe: Callable[[np.ndarray], Sequence[str]] | None = None,
               asynchronous: bool = False):
    self._run, self._reasons, self._describe = run, reasons, describe
    self._every, self._max_skipped = every, max_skipped
    self._events, self._asynchronous = Events(run.path / "train"), asynchronous
    self._recent: collections.deque[bool] = collections.deque(maxlen=_WINDOW)
    self._in_a_row = 0
    self._listed: collections.Counter[int] = collections.Counter()
    self._step, self._images = 0, images
    self._count = dropped or (lambda: np.zeros([0], np.int64))
    self._dropped, self._more_dropped = self._count(), False
    self._clear()

  def _clear(self) -> None:
    self._sums: collections.Counter[str] = collections.Counter()
    self._finite = self._pushes = self._interval_images = self._staleness = 0
    self._max_staleness = 0
    self._since = time.monotonic()

  def __call__(self, push: Push) -> None:
    """Takes one push.

    Raises:
      NumericError: more than `max_skipped` in a row, or 1 % of the last 1,000, were not finite.
    """
    self._pushes += 1
    self._interval_images += push.images
    self._images += push.images
    self._more_dropped |= push.dropped > 0
    self._step = max(self._step, push.step)  # pushes arrive out of order
    self._recent.append(push.finite)
    self._list_quarantined(push)
    if push.finite:
      self._in_a_row = 0
      self._finite += 1
      self._staleness += push.staleness
      self._max_staleness = max(self._max_staleness, push.staleness)
      self._sums.update(push.scalars)
    else:
      self._in_a_row += 1
      self._judge(push)
    if self._pushes >= self._every:
      self.flush()

  def _judge(self, push: Push) -> None:
    logging.warning("step %d: worker %d's push was not finite (loss %s, gradient norm %s): dropped",
                    push.step, push.worker, push.scalars["loss/total"], push.scalars["grad_norm"])
    lost = len(self._recent) - sum(self._recent)
    if self._in_a_row > self._max_skipped or (
        len(self._recent) == _WINDOW and lost > _WINDOW // 100):
      raise NumericError(
          "not-finite", self._run.path,
          f"{self._in_a_row} pushes in a row and {lost} of the last {len(self._recent)} not finite",
          f"at most {self._max_skipped} in a row and 1 %",
          f"Last at step {push.step} from worker {push.worker}; lower the rate or check the data.")

  def _list_quarantined(self, push: Push) -> None:
    for row in push.quarantined:
      reason, epoch, shard, record = row.tolist()
      self._listed[reason] += 1
      if self._listed[reason] > _LISTED_PER_REASON:
        continue
      text = {} if self._describe is None else {"text": self._describe(row[np.newaxis])[0]}
      self._run.append("quarantine.jsonl", reason=self._name(reason), shard=shard, record=record,
                       epoch=epoch, worker=push.worker, step=push.step, **text)

  def _name(self, reason: int) -> str:
    return self._reasons[reason] if 0 <= reason < len(self._reasons) else f"reason {reason}"

  @property
  def left_out(self) -> str:
    """Like `left out 12: decode_error 9, too_small 3`, as of the last point; empty if none."""
    counts = sorted(((int(n), self._name(i)) for i, n in enumerate(self._dropped) if n),
                    key=lambda count: -count[0])
    total, parts = sum(n for n, _ in counts), ", ".join(f"{name} {n}" for n, name in counts)
    return f"left out {total}: {parts}" if total else ""

  def _read_dropped(self) -> None:
    """Counts by reason are on the servers; a push only says whether there are new ones."""
    if self._more_dropped:
      self._dropped, self._more_dropped = self._count(), False
      logging.log_every_n_seconds(logging.WARNING, "step %d: %s", 60, self._step, self.left_out)

  def flush(self) -> None:
    """Writes the point of the pushes since the last one."""
    if not self._pushes:
      return
    self._read_dropped()
    seconds = max(time.monotonic() - self._since, 1e-9)
    values = {name: total / self._finite for name, total in self._sums.items() if self._finite}
    values |= {
        "examples_per_second": self._interval_images / seconds,
        "steps_per_second": self._pushes / seconds,
        **({"async/staleness": self._staleness / max(self._finite, 1),
            "async/staleness_max": self._max_staleness} if self._asynchronous else {}),
        "data/skipped": self._pushes - self._finite,
        "data/dropped": int(sum(self._dropped)),
        **{f"data/dropped/{self._name(i)}": int(n) for i, n in enumerate(self._dropped) if n},
        "images_seen": self._images,
    }
    self._events.scalars(self._step, values)
    self._run.append(event="train", step=self._step, time=time.time(), **values)
    self._clear()
