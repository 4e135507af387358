"""Who takes part in a run: one device, servers in this process, local processes, many machines.

TensorFlow's gRPC servers have no authentication and listen on every interface, whatever address
is configured; each start says so, and addresses beyond this machine need an explicit yes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping

import tensorflow as tf
from absl import logging

from jft_reps.errors import ClusterError, ConfigError

_JOBS = ("chief", "worker", "ps")


@dataclasses.dataclass(frozen=True)
class Cluster:
  """Addresses of every task, and which of them this process is.

  Args:
    workers: `host:port` of each worker.
    servers: `host:port` of each parameter server.
    chief: `host:port` of the chief, which coordinates and computes nothing.
    job: `chief`, `worker`, `ps` or `evaluator`: the role of this process.
    index: its number within the job.
  """

  workers: tuple[str, ...]
  servers: tuple[str, ...]
  chief: str
  job: str = "chief"
  index: int = 0

  @property
  def spec(self) -> tf.train.ClusterSpec:
    return tf.train.ClusterSpec(
        {"chief": [self.chief], "worker": list(self.workers), "ps": list(self.servers)})

  def tf_config(self, job: str, index: int) -> str:
    """The value of `TF_CONFIG` for one task."""
    return json.dumps({"cluster": self.spec.as_dict(), "task": {"type": job, "index": index}})

  def tasks(self) -> list[tuple[str, int, str]]:
    """(job, index, address) of every worker and parameter server."""
    return [("worker", i, a) for i, a in enumerate(self.workers)] + [
        ("ps", i, a) for i, a in enumerate(self.servers)]


def from_tf_config(text: str, allow_remote: bool = False) -> Cluster:
  """Reads and checks `TF_CONFIG` before any server starts.

  Raises:
    ConfigError: names the offending part.
  """
  def refuse(found: str, expected: str):
    raise ConfigError("tf-config", "TF_CONFIG", found, expected,
                      'Example: {"cluster": {"chief": ["h0:2222"], "worker": ["h1:2222"], '
                      '"ps": ["h2:2222"]}, "task": {"type": "worker", "index": 0}}')

  try:
    config = json.loads(text)
    jobs, task = config["cluster"], config["task"]
    job, index = task["type"], task["index"]
    jobs = {name: tuple(addresses) for name, addresses in jobs.items()}
  except (ValueError, KeyError, TypeError, AttributeError) as e:
    refuse(f"{type(e).__name__}: {e}", "JSON with cluster, task.type and task.index")
  for name in jobs:
    if name not in (*_JOBS, "evaluator"):
      refuse(f"job {name!r}", f"the jobs {', '.join(_JOBS)}")
  for name in _JOBS:
    if not jobs.get(name):
      refuse(f"no {name}", "at least one chief, worker and ps")
  if len(jobs["chief"]) != 1:
    refuse(f"{len(jobs['chief'])} chiefs", "one")
  if job not in (*_JOBS, "evaluator"):
    refuse(f"task type {job!r}", f"one of {', '.join(_JOBS)}, evaluator")
  if not isinstance(index, int) or (job != "evaluator" and not 0 <= index < len(jobs[job])):
    refuse(f"task index {index!r}", f"0 to {len(jobs.get(job, ())) - 1}")
  addresses = [a for name in _JOBS for a in jobs[name]]
  for address in addresses:
    check_address(address, allow_remote)
  if len(set(addresses)) != len(addresses):
    twice = next(a for a in addresses if addresses.count(a) > 1)
    refuse(f"address {twice} twice", "one address per task")
  return Cluster(jobs["worker"], jobs["ps"], jobs["chief"][0], job, index)


def check_address(address: str, allow_remote: bool) -> None:
  """Raises ConfigError unless `host:port` is well formed and local, or remote ones are allowed."""
  host, colon, port = str(address).rpartition(":")
  if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
    raise ConfigError("tf-config", "TF_CONFIG", f"address {address!r}", "host:port")
  local = host == "localhost"
  with contextlib.suppress(ValueError):
    local = local or ipaddress.ip_address(host.strip("[]")).is_loopback
  if not local and not allow_remote:
    raise ConfigError(
        "remote-cluster", "TF_CONFIG", f"address {address} is not on this machine",
        "loopback addresses, or --allow_remote_cluster",
        "TensorFlow's servers run what anyone sends them: use a private network.")


def parse_local(text: str) -> tuple[int, int, str]:
  """(workers, servers, mode) of `workers=2,ps=2[,mode=inprocess|processes]`.

  Raises:
    ConfigError: names what is wrong.
  """
  values = {"mode": "inprocess"}
  for part in text.split(","):
    key, _, value = part.partition("=")
    if key not in ("workers", "ps", "mode"):
      raise ConfigError("local-cluster", "--local_cluster", f"{part!r}",
                        "workers=N,ps=N[,mode=inprocess|processes]")
    values[key] = value
  for key in ("workers", "ps"):
    if not values.get(key, "").isdigit() or int(values[key]) < 1:
      raise ConfigError("local-cluster", "--local_cluster", f"{key}={values.get(key)}",
                        "a positive number")
  if values["mode"] not in ("inprocess", "processes"):
    raise ConfigError("local-cluster", "--local_cluster", f"mode={values['mode']}",
                      "inprocess or processes")
  return int(values["workers"]), int(values["ps"]), values["mode"]


@contextlib.contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
  """Ports that were free a moment ago, all different."""
  with contextlib.ExitStack() as stack:
    sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
    for s in sockets:
      s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
  yield ports


def local(workers: int, servers: int) -> Cluster:
  """A cluster of free loopback addresses on this machine."""
  with free_ports(workers + servers + 1) as ports:
    addresses = [f"127.0.0.1:{p}" for p in ports]
  return Cluster(tuple(addresses[:workers]), tuple(addresses[workers:-1]), addresses[-1])


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
  os.environ.setdefault("GRPC_FAIL_FAST", "use_caller")
  resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
      cluster.spec, task_type="chief", task_id=0, rpc_layer="grpc")
  return tf.distribute.ParameterServerStrategy(resolver)


def serve(cluster: Cluster, chief_timeout: float = 600.0,
          environment: Mapping[str, str] | None = None) -> int:
  """Runs this process as a worker or parameter server until its chief has gone.

  Args:
    cluster: with this process's job and index.
    chief_timeout: seconds without the chief's port answering, after it was first seen, until
      this task ends.
    environment: `JFT_REPS_PARENT`, if there, is the process this task must not outlive.

  Returns:
    The exit code.
  """
  environment = os.environ if environment is None else environment
  parent = int(environment.get("JFT_REPS_PARENT", 0))
  _server = start_server(cluster, cluster.job, cluster.index)  # noqa: F841 - lives until we end
  warn_exposed([a for job, i, a in cluster.tasks() if (job, i) == (cluster.job, cluster.index)])
  last_seen = None
  while True:
    if parent and os.getppid() != parent:
      return 0
    if answers(cluster.chief):
      last_seen = time.monotonic()
    elif last_seen is not None and time.monotonic() - last_seen > chief_timeout:
      logging.error("%s %d: no chief for %.0f s, ending", cluster.job, cluster.index, chief_timeout)
      return ClusterError.exit_code
    time.sleep(1.0 if parent else 5.0)
