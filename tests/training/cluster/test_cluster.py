"""Roles and addresses are checked before anything starts; pushes of many workers all count."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import ClusterError, ConfigError
from jft_reps.task import START
from jft_reps.training import optimizers, schedules, trainer
from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.run_directory import checkpoints, directory
from tests.training.tiny_task import TinyTask

GOOD = {"cluster": {"chief": ["localhost:1"], "worker": ["localhost:2"], "ps": ["localhost:3"]},
        "task": {"type": "worker", "index": 0}}


def changed(**parts):
  config = json.loads(json.dumps(GOOD))
  config["cluster"].update(parts.pop("cluster", {}))
  config["task"].update(parts)
  return json.dumps(config)


def test_a_good_tf_config_is_read():
  cluster = cluster_lib.from_tf_config(json.dumps(GOOD))
  assert cluster == cluster_lib.Cluster(("localhost:2",), ("localhost:3",), "localhost:1",
                                        "worker", 0)
  assert json.loads(cluster.tf_config("ps", 0))["task"] == {"type": "ps", "index": 0}


@pytest.mark.parametrize("text,message", [
    ("{", "JSON"), ("{}", "cluster"), (changed(type="master"), "'master'"),
    (changed(index=1), "index 1"), (changed(index="0"), "index '0'"),
    (changed(cluster={"ps": []}), "no ps"), (changed(cluster={"gpu": ["localhost:9"]}), "'gpu'"),
    (changed(cluster={"ps": ["localhost:2"]}), "localhost:2 twice"),
    (changed(cluster={"ps": ["localhost"]}), "'localhost'"),
    (changed(cluster={"ps": ["localhost:99999"]}), "99999"),
    (changed(cluster={"chief": ["localhost:1", "localhost:4"]}), "2 chiefs"),
    (changed(cluster={"ps": ["10.0.0.1:3"]}), "10.0.0.1:3 is not on this machine"),
    (changed(cluster={"ps": ["0.0.0.0:3"]}), "0.0.0.0:3 is not on this machine")])
def test_a_bad_tf_config_names_the_offending_part(text, message):
  with pytest.raises(ConfigError, match=message):
    cluster_lib.from_tf_config(text)


def test_remote_addresses_need_an_explicit_yes():
  text = changed(cluster={"ps": ["10.0.0.1:3"]})
  assert cluster_lib.from_tf_config(text, allow_remote=True).servers == ("10.0.0.1:3",)


@pytest.mark.parametrize("text,expected", [
    ("workers=2,ps=3", (2, 3, "inprocess")),
    ("ps=1,workers=4,mode=processes", (4, 1, "processes"))])
def test_local_clusters_are_described_in_a_line(text, expected):
  assert cluster_lib.parse_local(text) == expected


@pytest.mark.parametrize("text", ["workers=2", "workers=0,ps=1", "workers=a,ps=1", "w=1,ps=1",
                                  "workers=1,ps=1,mode=threads", ""])
def test_a_bad_local_cluster_is_refused(text):
  with pytest.raises(ConfigError, match="--local_cluster"):
    cluster_lib.parse_local(text)


def test_preflight_names_who_does_not_answer(capfd):
  with socket.socket() as there:
    there.bind(("127.0.0.1", 0))
    there.listen()
    with cluster_lib.free_ports(1) as (free,):
      address = f"127.0.0.1:{there.getsockname()[1]}"
      cluster = cluster_lib.Cluster((address,), (f"127.0.0.1:{free}",), "127.0.0.1:1")
      with pytest.raises(ClusterError, match=f"no answer from ps 0 \\(127.0.0.1:{free}\\)"):
        cluster_lib.preflight(cluster, timeout=0.5)
  assert "waiting for ps 0" in capfd.readouterr().err


def options(steps, **values):
  return trainer.TrainerOptions(
      steps=steps,
      **{"optimizer": optimizers.Momentum(), "schedule": schedules.PiecewiseConstant((0.01,)),
         "checkpoint_every": 1000, "weight_decay": 0.0, **values})


class CountingTask(TinyTask):
  """The loss is the sum of the head's bias, so every push has gradient one there."""

  def loss(self, model, batch):
    loss = tf.add_n([tf.reduce_sum(p) for p in model.head.bias.parts])
    return loss + 0.0 * tf.reduce_sum(model(batch["x"])), {}


@pytest.mark.parametrize("optimizer", [optimizers.Momentum(), optimizers.RMSProp()])
def test_300_concurrent_pushes_leave_exactly_what_300_updates_leave(tmp_path, optimizer):
  """Counter, slots and weights: order does not matter when all gradients are one."""
  task = CountingTask()
  cluster = cluster_lib.start_in_process(2, 2)
  trainer.Trainer(task, directory.RunDirectory(tmp_path), options(300, optimizer=optimizer),
                  cluster=cluster, notes=task.notes).train()
  found = checkpoints.read(tmp_path / "ckpt-300", [
      "step", "images_seen", "skipped", "head/bias", "slots/momentum/head/bias", "position"])
  one, rate, keep = np.float32(1), np.float32(0.01), np.float32(0.9)
  weight = accumulator = np.float32(0)
  square = one
  start = checkpoints.read(tmp_path / "ckpt-0", ["head/bias"])["head/bias"]
  for _ in range(300):
    if isinstance(optimizer, optimizers.RMSProp):
      square = square + (one - square) * (one - keep)
      accumulator = keep * accumulator + rate / np.sqrt(square + one)
      weight = weight - accumulator
    else:
      accumulator = keep * accumulator + one
      weight = weight - rate * accumulator
  assert found["step"] == 300 and found["images_seen"] == 1200 and found["skipped"] == 0
  np.testing.assert_allclose(found["slots/momentum/head/bias"], np.full(7, accumulator), rtol=2e-6)
  np.testing.assert_allclose(found["head/bias"], start + weight, rtol=1e-5)
  read = found["position"][:, 0] * TinyTask.epoch_length + found["position"][:, 2]
  assert read.sum() == 1200 and (read > 0).all()


def test_a_checkpoint_goes_from_one_server_to_three_to_two_and_to_one_process(tmp_path):
  task = TinyTask()
  still = schedules.PiecewiseConstant((1e-30,))  # weights stay; what changes was not restored
  run = lambda steps, **where: trainer.Trainer(
      task, directory.RunDirectory(tmp_path), options(steps, schedule=still, ema_decay=1.0),
      notes=task.notes, **where).train()
  run(10, cluster=cluster_lib.start_in_process(1, 1))
  run(20, cluster=cluster_lib.start_in_process(2, 3))
  run(30, cluster=cluster_lib.start_in_process(2, 2))
  run(40)
  values = checkpoints.read(tmp_path / "ckpt-40", ["step", "images_seen"])
  assert values["step"] == 40 and values["images_seen"] == 160
  names = [n for n in checkpoints.shapes(tmp_path / "ckpt-10")
           if n.startswith(("head/", "ema/", "norm/gamma", "norm/beta"))]
  before, after = (checkpoints.read(tmp_path / f"ckpt-{s}", names) for s in (10, 40))
  for name in names:
    np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-20, err_msg=name)
  assert np.ptp(before["head/kernel"]) > 0


def test_one_workers_nan_stays_out_of_everything_and_is_counted(tmp_path):
  poison = lambda worker, row: (worker == 1) & (row % 40 == 17)
  task = TinyTask(poison=poison)
  trainer.Trainer(task, directory.RunDirectory(tmp_path),
                  options(200, max_skipped=1000, log_every=1000),
                  cluster=cluster_lib.start_in_process(2, 2), notes=task.notes).train()
  names = checkpoints.shapes(tmp_path / "ckpt-200")
  values = checkpoints.read(tmp_path / "ckpt-200", list(names))
  epochs, _, record = values["position"][1]
  assert values["skipped"] == epochs + (record > 17)
  assert all(np.isfinite(v).all() for v in values.values() if not isinstance(v, bytes))
  assert values["step"] == 200


class DroppingTask(TinyTask):
  """Before every fourth row a record was left out, itself numbered like the row."""

  def row(self, worker, seed, epoch, record):
    left_out = tf.equal(record % 4, 3)
    line = tf.stack([tf.constant(0, tf.int64), epoch, tf.constant(0, tf.int64), record])
    return {**super().row(worker, seed, epoch, record),
            "dropped": tf.cast(left_out, tf.int64)[tf.newaxis],
            "quarantined": tf.where(left_out, line, tf.constant([-1] * 4, tf.int64))}

  def describe_dropped(self, rows):
    return [f"row {record}" for _, _, _, record in rows.tolist()]


_MIRRORED = """
import sys
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.training.cluster.test_cluster import DroppingTask, TinyTask, directory, options, trainer
steps = int(sys.argv[2])
task = TinyTask() if steps == 1 else DroppingTask()
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
trainer.Trainer(task, directory.RunDirectory(sys.argv[1]), options(steps, checkpoint_every=1),
                strategy=strategy, notes=task.notes, reasons=["cut"]).train()
"""


def mirrored(root, path, steps):
  subprocess.run([sys.executable, "-c", _MIRRORED, str(path), str(steps)], cwd=root, check=True,
                 timeout=120, env={**os.environ, "PYTHONPATH": str(root)})


def test_what_every_mirrored_replica_left_out_is_counted_and_listed(root, tmp_path):
  mirrored(root, tmp_path, 3)
  lines = [json.loads(x) for x in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
  assert [x["record"] for x in lines] == [3, 7, 11, 15, 19, 23]
  assert [x["step"] for x in lines] == [1, 1, 2, 2, 3, 3]
  assert {x["reason"] for x in lines} == {"cut"} and lines[1]["text"] == "row 7"
  (point,) = directory.RunDirectory(tmp_path).metrics()
  assert point["data/dropped"] == point["data/dropped/cut"] == 6 and point["images_seen"] == 24
  values = checkpoints.read(tmp_path / "ckpt-3", ["dropped", "images_seen"])
  assert values["dropped"].tolist() == [6] and values["images_seen"] == 24


def test_two_mirrored_replicas_take_the_step_of_their_mean_gradient(tmp_path, root):
  mirrored(root, tmp_path, 1)
  names = ["head/kernel", "head/bias", "norm/moving_mean", "position"]
  old, new = (checkpoints.read(tmp_path / f"ckpt-{s}", names) for s in (0, 1))
  batches = list(TinyTask().train_dataset(START).take(2))
  gradients, means = [], []
  for batch in batches:
    x, y = batch["x"].numpy().astype(np.float64), batch["targets"].numpy()
    hat = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    d = (1 / (1 + np.exp(-(hat @ old["head/kernel"] + old["head/bias"]))) - y) / len(x)
    gradients.append(hat.T @ d)
    means.append(x.mean(0))
  np.testing.assert_allclose(new["head/kernel"], old["head/kernel"] - 0.01 * np.mean(gradients, 0),
                             rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(new["norm/moving_mean"], 0.1 * np.mean(means, 0), rtol=1e-4, atol=1e-6)
  assert new["position"].tolist() == [[0, 0, 8]]


def test_one_worker_on_servers_takes_the_steps_of_one_device(tmp_path):
  """Packed reads, packed gradients and remote updates change nothing but the last bits."""
  task = TinyTask(shards=3)
  choice = options(30, optimizer=optimizers.RMSProp(), weight_decay=0.01, ema_decay=0.9,
                   in_flight=1)
  for name, where in (("here", {}), ("servers", {"cluster": cluster_lib.start_in_process(1, 2)})):
    trainer.Trainer(task, directory.RunDirectory(tmp_path / name), choice, notes=task.notes,
                    **where).train()
  names = list(checkpoints.shapes(tmp_path / "here" / "ckpt-30"))
  here, servers = (checkpoints.read(tmp_path / n / "ckpt-30", names) for n in ("here", "servers"))
  for name in names:
    if isinstance(here[name], bytes):
      assert here[name] == servers[name]
    else:
      np.testing.assert_allclose(servers[name], here[name], rtol=2e-4, atol=1e-5, err_msg=name)
