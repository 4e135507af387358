"""How pushes are driven: staleness, staggered starts, pushes per closure, and giving up."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import ClusterError
from jft_reps.training import engines, log, trainer
from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.run_directory import checkpoints, directory
from jft_reps.training.state import TrainState
from jft_reps.training.step import TrainStep
from tests.training.cluster.test_cluster import options
from tests.training.tiny_task import TinyTask

_HELD = 20  # the step until which worker 1 holds its push back


class HeldTask(TinyTask):
  """After the first push of all, worker 1 reads, worker 0 pushes up to a step, worker 1 pushes."""

  def row(self, worker, seed, epoch, record):
    return {**super().row(worker, seed, epoch, record), "worker": tf.cast(worker, tf.int64)}

  def loss(self, model, batch):
    first, held = tf.equal(self.step.read_value(), 0), tf.equal(batch["worker"][0], 1)
    mark = tf.cast(held & ~first, tf.int64)
    said = tf.raw_ops.AssignAddVariableOp(resource=self.read.handle, value=mark)

    def waiting():
      enough = tf.where(held, self.step.read_value() >= _HELD, self.read.read_value() > 0)
      return ~(first | enough)

    with tf.control_dependencies([said]):
      rounds = tf.while_loop(lambda i: waiting(), lambda i: i + 1, [0], parallel_iterations=1)
    with tf.control_dependencies(rounds):
      return super().loss(model, batch)


def test_staleness_is_the_number_of_pushes_between_reading_and_pushing(tmp_path):
  task, choice = HeldTask(), options(_HELD + 1)
  cluster = cluster_lib.start_in_process(2, 2)
  strategy = cluster_lib.connect(cluster)
  coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
  state = TrainState(task, choice.optimizer, 2, 1, False, strategy)
  with strategy.scope():
    task.step, task.read = state.step, tf.Variable(tf.zeros([], tf.int64), trainable=False)
  step = TrainStep(task, state, choice.optimizer, choice.schedule, strategy)
  engine = engines.Coordinated(task, state, step, coordinator, cluster, 0, in_flight=2,
                               liveness_timeout=60)
  pushes = list(engine.run(_HELD + 1))
  engine.stop()
  assert [(p.worker, p.staleness) for p in pushes if p.staleness] == [(1, _HELD - 1)]
  run = directory.RunDirectory(tmp_path)
  curve = log.PushLog(run, [], _HELD + 1, 10, asynchronous=True)
  for push in pushes:
    curve(push)
  (point,) = run.metrics()
  assert point["async/staleness"] == pytest.approx((_HELD - 1) / (_HELD + 1))
  assert point["async/staleness_max"] == _HELD - 1


def test_a_startup_delay_lets_one_push_at_a_time_go_first(tmp_path):
  """Whoever is alone is never stale; the second slot opens after `startup_delay` pushes."""
  task = TinyTask(wait=1)
  trainer.Trainer(task, directory.RunDirectory(tmp_path),
                  options(120, startup_delay=40, log_every=40),
                  cluster=cluster_lib.start_in_process(2, 2), notes=task.notes).train()
  points = [json.loads(x) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
  stale = [p["async/staleness_max"] for p in points if p["event"] == "train"]
  assert len(stale) == 3 and stale[0] == 0 and max(stale) > 0


def test_a_closure_of_three_steps_is_three_pushes(tmp_path):
  """For one worker at a time the same pushes on the same data, so the same weights."""
  task = TinyTask()
  for inner in (1, 3):
    trainer.Trainer(task, directory.RunDirectory(tmp_path / str(inner)),
                    options(12, inner_steps=inner, in_flight=1, checkpoint_every=6, log_every=1),
                    cluster=cluster_lib.start_in_process(1, 2), notes=task.notes).train()
  assert checkpoints.committed(tmp_path / "3") == [0, 6, 12]
  lines = (tmp_path / "3" / "metrics.jsonl").read_text().splitlines()
  assert [json.loads(x)["step"] for x in lines] == list(range(1, 13))
  names = [n for n in checkpoints.shapes(tmp_path / "1" / "ckpt-12") if n != "labels"]
  one, three = (checkpoints.read(tmp_path / n / "ckpt-12", names) for n in ("1", "3"))
  assert three["images_seen"] == 48
  for name in names:
    np.testing.assert_allclose(three[name], one[name], rtol=1e-5, atol=1e-6, err_msg=name)


class Lost(trainer.Trainer):
  """A trainer whose servers are lost in every session; some sessions commit something first."""

  def __init__(self, path, commits, **values):
    task = TinyTask()
    super().__init__(task, directory.RunDirectory(path), options(100, **values),
                     cluster=cluster_lib.local(1, 1))
    self.sessions, self._path, self._commits = 0, path, commits

  def _session(self):
    self.sessions += 1
    if self.sessions in self._commits:
      checkpoints.save(self._path, self.sessions, {"a": tf.constant(1.0)})
    raise tf.errors.UnavailableError(None, None, "failed to connect")


@pytest.mark.parametrize("commits,sessions", [((), 4), ((3,), 6), ((1, 2, 5), 8)])
def test_restarts_without_a_new_checkpoint_come_to_an_end(tmp_path, monkeypatch, commits, sessions):
  monkeypatch.setattr(trainer.time, "sleep", lambda seconds: None)
  run = Lost(tmp_path, commits, max_restarts=3)
  with pytest.raises(ClusterError, match="3 restarts brought no new checkpoint") as raised:
    run.train()
  assert run.sessions == sessions and raised.value.exit_code == 75
