"""One push: read parameters, compute, and apply if everything is finite.

The same step runs on one device, under `MirroredStrategy`, and as a closure on a worker of
`ParameterServerStrategy`. Downpour SGD (Dean et al. 2012) with n_fetch = n_push = 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.models import batch_norm
from jft_reps.models.variables import already_read
from jft_reps.task import Task
from jft_reps.training import state as state_lib
from jft_reps.training.cluster import parcels
from jft_reps.training.optimizers import Optimizer
from jft_reps.training.state import TrainState, components

_FIXED = ("step", "finite", "staleness", "worker", "images", "dropped", "loss/total",
          "learning_rate", "grad_norm")
_QUARANTINED = 4  # dropped records named per step


@dataclasses.dataclass(frozen=True)
class Push:
  """What one push reports to the chief."""

  step: int
  finite: bool
  worker: int
  staleness: int
  images: int
  dropped: int
  scalars: Mapping[str, float]
  quarantined: np.ndarray  # int64 [n, 4]: reason, epoch, shard, record


class TrainStep:
  """Builds the function of a step; `decode` turns its packed result into a `Push`.

  Args:
    task: gives the loss.
    state: what is read and updated.
    optimizer: applies gradients in place.
    schedule: learning rate of an int64 step.
    strategy: in whose replicas the loss is computed.
    weight_decay: added as decay · w to the gradients of kernels (1e-4 in section 4.1).
    ema_decay: of the moving average of the weights; 0 keeps none.
    gradient_clip: longest gradient of each variable by itself, as slim clips; 0 clips none.
  """

  def __init__(self, task: Task, state: TrainState, optimizer: Optimizer,
               schedule: Callable[[tf.Tensor], tf.Tensor], strategy: tf.distribute.Strategy,
               weight_decay: float = 1e-4, ema_decay: float = 0.0, gradient_clip: float = 0.0):
    self._task, self._state, self._optimizer = task, state, optimizer
    self._schedule, self._strategy = schedule, strategy
    self._weight_decay, self._ema_decay = weight_decay, ema_decay
    self._clip = gradient_clip
    self._names: tuple[str, ...] = ()

  def __call__(self, iterator, worker: tf.Tensor | int = 0) -> tf.Tensor:
    """One push with the iterator's next batch; float64 vector for `decode`."""
    return self.push(next(iterator), worker)

  def push(self, batch, worker: tf.Tensor | int = 0) -> tf.Tensor:
    """One push with a batch (of each replica); float64 vector for `decode`."""
    outcome = self._strategy.run(self._compute, args=(batch,))
    each = {n: list(components(self._strategy, v)) for n, v in outcome["report"].items()}
    # What was reduced over replicas is the same on each: the first one's is everyone's.
    report = {n: values[0] for n, values in each.items()}
    report |= {n: tf.add_n(each[n]) for n in ("images", "dropped")}
    report["quarantined"] = tf.concat(each["quarantined"], axis=0)
    finite = report["finite"] > 0
    self._count(outcome, report["images"], worker)
    messages = self._send(outcome)
    step = tf.cond(finite, lambda: self._apply(outcome, messages), self._skip)
    report = {**report, "step": tf.cast(step, tf.float64), "worker": tf.cast(worker, tf.float64)}
    self._names = (*_FIXED, *sorted(n for n in report if n not in (*_FIXED, "quarantined")))
    return tf.concat(
        [tf.stack([report[n] for n in self._names]), report["quarantined"]], axis=0)

  def decode(self, packed: tf.Tensor) -> Push:
    """The report of a push, from the vector it returned."""
    values = np.asarray(packed)
    named = dict(zip(self._names, values.tolist()))
    rows = values[len(self._names):].astype(np.int64).reshape(-1, 4)
    scalars = {n: v for n, v in named.items() if n not in _FIXED[:6]}
    return Push(int(named["step"]), named["finite"] > 0, int(named["worker"]),
                int(named["staleness"]), int(named["images"]), int(named["dropped"]),
                scalars, rows[rows[:, 0] >= 0])

  def _compute(self, batch) -> dict[str, Any]:
    """In a replica: gradients, what the batch says of the statistics, scalars; changes nothing."""
    state = self._state
    # The step is read before the parameters and again after the gradients: what others pushed in
    # between is the staleness of this push.
    read_at = tf.identity(state.step.read_value())
    variables = [t.variable for t in state.trained]
    with batch_norm.StatisticsTape() as statistics, tf.GradientTape() as tape:
      with tf.control_dependencies([read_at]):
        fetched = self._fetch(variables, tape)
        with already_read(variables, fetched):
          loss, scalars = self._task.loss(state.model, batch)
    gradients = _gradients(tape, loss, variables, fetched)
    scalars = {**scalars, "loss/total": loss}
    self._statistics = [(c.variable, c.share) for c in statistics.changes]
    moments = [c.value for c in statistics.changes]
    # One sum instead of a check each: it is finite only if every part is.
    health = tf.add_n([tf.cast(loss, tf.float32), *map(tf.reduce_sum, moments)])
    if self._strategy.num_replicas_in_sync > 1:
      gradients, moments, scalars, health = _mean_over_replicas(
          (gradients, moments, scalars, health))
    # Before clipping, which would hide how long they were.
    norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(tf.cast(g, tf.float32)) for g in gradients]))
    finite = tf.math.is_finite(health) & tf.math.is_finite(norm)
    if self._clip:
      gradients = [tf.clip_by_norm(g, self._clip) for g in gradients]
    with tf.control_dependencies(gradients):
      staleness = state.step.read_value() - read_at
    rate = self._schedule(read_at)
    report = {**scalars, "grad_norm": norm, "staleness": staleness, "finite": finite,
              "learning_rate": rate, **_data_report(batch)}
    # float32 would round the step beyond 2^24, and the paper's runs go to 36 million.
    report = {n: tf.cast(v, tf.float64) for n, v in report.items()}
    return {"gradients": gradients, "moments": moments, "report": report, "rate": rate,
            "dropped": _dropped(batch, state), "position": _position(batch)}

  def _fetch(self, variables: list[Any], tape: tf.GradientTape) -> list[Any]:
    """Values of variables on servers, read in few messages; nothing for those of this process."""
    if not any(map(parcels.remote, variables)):
      return []
    with tape.stop_recording():
      values = parcels.fetch(variables)
    tape.watch(values)
    return values

  def _count(self, outcome, images, worker) -> None:
    """Counts data whether or not the push is applied; positions are each worker's own."""
    dropped = tf.add_n(list(components(self._strategy, outcome["dropped"])))
    position = list(components(self._strategy, outcome["position"]))[-1]
    images = tf.cast(images, tf.int64)
    for variable in components(self._strategy, self._state.images):
      tf.raw_ops.AssignAddVariableOp(resource=variable.handle, value=images)
    for variable in components(self._strategy, self._state.dropped):
      tf.raw_ops.AssignAddVariableOp(resource=variable.handle, value=dropped)
    if position is not None:
      for variable in components(self._strategy, self._state.position):
        tf.raw_ops.ResourceScatterUpdate(
            resource=variable.handle, indices=tf.reshape(tf.cast(worker, tf.int32), [1]),
            updates=tf.reshape(position, [1, 3]))

  def _send(self, outcome) -> list[Any]:
    """Gradients and moments on their way to the variables, packed by server."""
    tensors = [*outcome["gradients"], *outcome["moments"]]
    return parcels.pack(tensors, self._targets())

  def _targets(self) -> list[Any]:
    return [*(t.variable for t in self._state.trained), *(v for v, _ in self._statistics)]

  def _apply(self, outcome, messages) -> tf.Tensor:
    tensors = parcels.unpack(messages, self._targets())
    trained = len(self._state.trained)
    for item, gradient in zip(self._state.trained, tensors[:trained]):
      self._update(item, gradient, outcome["rate"])
    for (variable, share), moment in zip(self._statistics, tensors[trained:]):
      for v, m in zip(components(self._strategy, variable), components(self._strategy, moment)):
        with tf.device(v.device):
          # Where the statistic lives, so that only the moment had to travel.
          delta = share * (m - v.read_value())
          tf.raw_ops.AssignAddVariableOp(resource=v.handle, value=delta)
    return self._increment(self._state.step)

  def _update(self, trained: state_lib.Trained, gradient, rate) -> None:
    """On the device that holds the variable: decay, optimizer, moving average."""
    pick = lambda value, i: list(components(self._strategy, value))[i]
    for i, variable in enumerate(components(self._strategy, trained.variable)):
      g = pick(gradient, i)
      slots = {name: pick(slot, i) for name, slot in trained.slots.items()}
      with tf.device(variable.device):
        # Where the variable lives: on the worker it would cross the network a second time.
        if self._weight_decay and trained.decayed:
          g = g + self._weight_decay * variable.read_value()
        update = self._optimizer.apply(variable, slots, g, pick(rate, i))
        if trained.average is not None:
          average = pick(trained.average, i)
          # After the update, or the average would lag one push behind.
          with tf.control_dependencies([update] if update is not None else []):
            change = (1 - self._ema_decay) * (variable.read_value() - average.read_value())
            tf.raw_ops.AssignAddVariableOp(resource=average.handle, value=change)

  def _skip(self) -> tf.Tensor:
    self._increment(self._state.skipped)
    return tf.identity(self._state.step.read_value())

  def _increment(self, counter) -> tf.Tensor:
    # One op on the server, so that pushes at the same time all count.
    one = tf.constant(1, tf.int64)
    for variable in components(self._strategy, counter):
      tf.raw_ops.AssignAddVariableOp(resource=variable.handle, value=one)
    return tf.identity(next(components(self._strategy, counter)).read_value())


def _gradients(tape: tf.GradientTape, loss, variables: list[Any], fetched: list[Any]):
  """By variable: what came through fetched values, and through layers that read for themselves."""
  sources = [*variables, *fetched]
  found = [None if g is None else tf.convert_to_tensor(g) for g in tape.gradient(loss, sources)]
  direct, through = found[:len(variables)], found[len(variables):] or [None] * len(variables)
  gradients = []
  for variable, *both in zip(variables, direct, through):
    terms = [g for g in both if g is not None]
    gradients.append(tf.add_n(terms) if terms else tf.zeros(variable.shape, variable.dtype))
  return gradients


def _mean_over_replicas(values):
  context = tf.distribute.get_replica_context()
  return context.all_reduce(tf.distribute.ReduceOp.MEAN, values)


def _data_report(batch) -> dict[str, tf.Tensor]:
  some = batch["id"] if "id" in batch else next(iter(batch.values()))
  images = tf.shape(some)[0]
  dropped = tf.reduce_sum(batch["dropped"]) if "dropped" in batch else tf.constant(0, tf.int64)
  rows = tf.fill([0, 4], tf.constant(-1, tf.int64))
  if "quarantined" in batch:
    rows = tf.boolean_mask(batch["quarantined"], batch["quarantined"][:, 0] >= 0)
  rows = tf.concat([rows[:_QUARANTINED], tf.fill([_QUARANTINED, 4], tf.constant(-1, tf.int64))], 0)
  return {"images": images, "dropped": dropped,
          "quarantined": tf.reshape(rows[:_QUARANTINED], [-1])}


def _dropped(batch, state: TrainState) -> tf.Tensor:
  if "dropped" in batch:
    return tf.reduce_sum(batch["dropped"], axis=0)
  return tf.zeros(state.dropped.shape, tf.int64)


def _position(batch) -> tf.Tensor | None:
  return batch["position"][-1] if "position" in batch else None
