"""One device, servers in this process, local processes, many machines: how a cluster stands.

TensorFlow's gRPC servers have no authentication and listen on every interface, whatever address
is configured; each start says so, and addresses beyond this machine need an explicit yes.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping

import tensorflow as tf
from absl import logging

from jft_reps.errors import ClusterError
from jft_reps.training.cluster.addresses import (
  Cluster,
  free_ports,
  from_tf_config,
  local,
  parse_local,
)

__all__ = [
    "Cluster", "answers", "connect", "free_ports", "from_tf_config", "local", "parse_local",
    "preflight", "serve", "start_in_process", "start_server", "warn_exposed"]


def start_server(cluster: Cluster, job: str, index: int, threads: int = 0) -> tf.distribute.Server:
  """Starts the gRPC server of one task in this process, and says what it exposes.

  Args:
    cluster: all addresses.
    job: `worker` or `ps`.
    index: of the task.
    threads: that wait in ops, shared by all servers of the process; 0 leaves the default.
  """
  address = dict(((j, i), a) for j, i, a in cluster.tasks())[job, index]
  options = tf.compat.v1.ConfigProto()
  options.inter_op_parallelism_threads = threads
  try:
    server = tf.distribute.Server(
        cluster.spec, job_name=job, task_index=index, protocol="grpc", config=options, start=True)
  except (tf.errors.OpError, RuntimeError) as e:
    raise ClusterError("server", f"{job} {index} at {address}", str(e)[:200], "a free port") from e
  return server


def warn_exposed(addresses: list[str]) -> None:
  """Says on which ports this process now takes orders from anyone who reaches it."""
  ports = ", ".join(a.rpartition(":")[2] for a in addresses)
  logging.warning("TensorFlow gRPC has no authentication and listens on ALL interfaces whatever "
                  "address is configured; isolate the network. Ports: %s", ports)


def start_in_process(workers: int, servers: int) -> Cluster:
  """Starts every task of a small cluster inside this process and returns its addresses.

  All servers share one pool of threads: with fewer than workers + 1 the closures wait for each
  other for ever. Must run before TensorFlow has executed its first op.
  """
  cluster = local(workers, servers)
  threads = 2 * workers + servers + 2
  try:
    tf.config.threading.set_inter_op_parallelism_threads(threads)
  except RuntimeError:
    started = int(os.environ.get("TF_NUM_INTEROP_THREADS", 0)) or os.cpu_count() or 1
    threads = tf.config.threading.get_inter_op_parallelism_threads() or started
  if threads < workers + 1:
    raise ClusterError(
        "threads", "this process", f"TensorFlow has started with {threads} waiting threads",
        f"at least {workers + 1} for {workers} workers",
        "Start the cluster before the first op, or set TF_NUM_INTEROP_THREADS.")
  # TensorFlow keeps a started server for the life of the process.
  for job, index, _ in cluster.tasks():
    start_server(cluster, job, index, threads)
  warn_exposed([address for _, _, address in cluster.tasks()])
  return cluster


def preflight(cluster: Cluster, timeout: float = 300.0, poll: float = 0.5) -> None:
  """Waits until every worker and server accepts connections, saying which it waits for.

  Raises:
    ClusterError: after `timeout` seconds, naming the tasks that never answered.
  """
  start, said = time.monotonic(), 0.0
  missing = cluster.tasks()
  while missing:
    missing = [t for t in missing if not answers(t[2])]
    waited = time.monotonic() - start
    if missing and waited >= timeout:
      names = ", ".join(f"{job} {i} ({address})" for job, i, address in missing[:5])
      raise ClusterError("preflight", "cluster", f"no answer from {names} in {timeout:.0f} s",
                         "every worker and server listening", "Start them, or check the network.")
    if missing and waited >= said:
      job, i, address = missing[0]
      print(f"waiting for {job} {i} ({address}), {len(missing)} of {len(cluster.tasks())} tasks, "
            f"giving up in {timeout - waited:.0f} s", file=sys.stderr)
      said = waited + 10
    if missing:
      time.sleep(min(poll, max(0.0, timeout - waited)))


def answers(address: str) -> bool:
  """Whether something accepts connections at `host:port`."""
  host, _, port = address.rpartition(":")
  try:
    with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
      return True
  except OSError:
    return False


def connect(cluster: Cluster) -> tf.distribute.ParameterServerStrategy:
  """The chief's strategy; call it again after a server was lost and came back."""
  # As in TensorFlow's tutorial. Between processes of one machine it made no difference to a kill.
  os.environ.setdefault("GRPC_FAIL_FAST", "use_caller")
  resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
      cluster.spec, task_type="chief", task_id=0, rpc_layer="grpc")
  return tf.distribute.ParameterServerStrategy(resolver)


def serve(cluster: Cluster, finished: Callable[[], bool] = lambda: False,
          first_timeout: float = 3600.0, chief_timeout: float = 600.0,
          environment: Mapping[str, str] | None = None) -> int:
  """Runs this process as a worker or parameter server until its run is over.

  A task with a parent process lives as long as that. Any other one lives until the run was
  finished and its chief has gone, or until the chief was silent for too long.

  Args:
    cluster: with this process's job and index.
    finished: whether the run is complete, e.g. `DONE` is in its directory; the `DONE` of an
      earlier run counts only after one of the time-outs.
    first_timeout: seconds until the chief's port has to answer for the first time.
    chief_timeout: seconds without an answer thereafter.
    environment: `JFT_REPS_PARENT`, if there, is the process this task must not outlive.

  Returns:
    0, the exit code.

  Raises:
    ClusterError: the chief was silent for too long.
  """
  environment = os.environ if environment is None else environment
  parent = int(environment.get("JFT_REPS_PARENT", 0))
  _server = start_server(cluster, cluster.job, cluster.index)
  warn_exposed([a for job, i, a in cluster.tasks() if (job, i) == (cluster.job, cluster.index)])
  if parent:
    while os.getppid() == parent:
      time.sleep(1.0)
    return 0
  return _follow_chief(cluster, finished, first_timeout, chief_timeout)


def _follow_chief(cluster: Cluster, finished: Callable[[], bool], first_timeout: float,
                  chief_timeout: float) -> int:
  last, limit, unfinished = time.monotonic(), first_timeout, False
  while True:
    now = time.monotonic()
    there, over = answers(cluster.chief), finished()
    if there:
      last, limit = now, chief_timeout
    unfinished = unfinished or not over
    if over and unfinished and not there:
      return 0
    if now - last > limit:
      if over:
        return 0
      raise ClusterError("no-chief", f"{cluster.job} {cluster.index}",
                         f"no answer from the chief at {cluster.chief} for {limit:.0f} s",
                         "a chief that coordinates this task", "Start the chief, then this task.")
    time.sleep(min(2.0, limit / 10))
