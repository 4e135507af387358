"""Who takes part in a run and where: roles and addresses, checked before anything starts."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jft_reps.errors import ConfigError

if TYPE_CHECKING:
  import tensorflow as tf

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
    import tensorflow as tf  # here alone: wrong addresses are answered without it

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
