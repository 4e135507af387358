"""Tasks of a run on a cluster: how many of each role, their names, addresses and TF_CONFIG."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from jft_reps.errors import ConfigError, printable


@dataclasses.dataclass(frozen=True)
class Topology:
  """Tasks of a run, beside one chief and one evaluator, and what each may take.

  Attributes:
    workers, servers: how many; servers are parameter servers.
    cpus: cores of each task.
    memory_gb: gigabytes of memory of each task.
    gpu: whether workers and the evaluator have a GPU each.
  """

  workers: int
  servers: int
  cpus: int = 4
  memory_gb: int = 16
  gpu: bool = False

  def __post_init__(self):
    for name in ("workers", "servers", "cpus", "memory_gb"):
      value = getattr(self, name)
      if type(value) is not int or value < 1:
        raise job_error(name, printable(value), "a whole number from 1")

  def roles(self) -> dict[str, int]:
    """Number of tasks by role, the evaluator last."""
    return {"chief": 1, "worker": self.workers, "ps": self.servers, "evaluator": 1}


def label(text: str) -> str:
  """A DNS label for a run's name; another one for every text."""
  base = re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")
  base = base if base[:1].isalpha() else f"run-{base}".rstrip("-")
  if base == text and len(base) <= 40:
    return base
  digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
  return f"{base[:40].rstrip('-')}-{digest[:6]}"


def tf_configs(name: str, topology: Topology, hosts: Sequence[str] = (),
               port: int = 2222) -> list[tuple[str, int, dict[str, Any]]]:
  """(role, index, TF_CONFIG) of every task.

  Args:
    name: of the run, a DNS label.
    topology: of its tasks.
    hosts: of chief, workers and parameter servers, in this order; by default those of `kubernetes`.
      The evaluator talks to nobody.
    port: at which all of them listen.

  Raises:
    ConfigError: a host name is none, there are too few or many, or the port is none.
  """
  if type(port) is not int or not 0 < port < 65536:
    raise job_error("port", printable(port), "1 to 65535")
  check_label(name)
  tasks = [(role, i) for role, n in topology.roles().items() for i in range(n)]
  addressed = tasks[:-1]
  for role, i in tasks:
    check_label(f"{name}-{role}-{i}")
  hosts = hosts or [f"{name}-{role}-{i}.{name}" for role, i in addressed]
  if len(hosts) != len(addressed) or len(set(hosts)) != len(hosts):
    raise job_error("hosts", f"{len(set(hosts))} different ones of {len(hosts)}",
                 f"{len(addressed)}, one for each task")
  for host in hosts:
    if not re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?", host):
      raise job_error("hosts", printable(host), "a host name or an IPv4 address")
  cluster: dict[str, list[str]] = {}
  for (role, _), host in zip(addressed, hosts):
    cluster.setdefault(role, []).append(f"{host}:{port}")
  return [(role, i, {"cluster": cluster, "task": {"type": role, "index": i}}) for role, i in tasks]


def check_label(text: str) -> None:
  """Raises ConfigError unless a text is a DNS label."""
  if len(text) > 63 or not re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", text):
    raise job_error("name", f"{printable(text)} ({len(text)} characters)",
                    "a DNS label: at most 63 of a-z, 0-9 and -, beginning with a letter")


def job_error(what: str, found: str, expected: str) -> ConfigError:
  """Of a job that cannot be described."""
  return ConfigError("cluster-job", what, found, expected)
