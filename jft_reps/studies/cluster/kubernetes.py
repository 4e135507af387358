"""A run as a Kubernetes manifest, for Kubernetes 1.33 and later.

A headless Service, a NetworkPolicy and an indexed Job for each role: chief, workers, parameter
servers, evaluator. The pods of an indexed Job keep their host names, so addresses are known
beforehand and a pod that is replaced is found again. All outputs are on one volume that every pod
mounts; a run finds there what it needs. Records are on another one, which pods only read.

No shell is involved: commands are lists, and every text in a manifest is a quoted scalar.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from jft_reps.errors import printable
from jft_reps.studies.cluster.tasks import Topology, job_error, tf_configs

_FAILURES = 6  # of one pod, evictions and drained nodes not counted
_GRACE = 120  # seconds to write a last checkpoint
_AGAIN = 75  # exit code of `ClusterError`: a task was not there
_FOR_GOOD = (1, 2, 3)  # exit codes of what fails the same way again: configuration, data, numbers


@dataclasses.dataclass(frozen=True)
class Site:
  """What a Kubernetes cluster offers to a study.

  Attributes:
    image: of the containers; has Python, the library and `experiments/`.
    claim: name of a PersistentVolumeClaim that all pods write to (ReadWriteMany).
    mount: where it is mounted.
    data_claim: name of the one that has the records.
    data_mount: where that one is mounted, read-only.
    directory: of the image, that has `experiments/`.
  """

  image: str
  claim: str
  mount: str = "/study"
  data_claim: str = "jft-data"
  data_mount: str = "/data"
  directory: str = "/jft_reps"

  def __post_init__(self):
    for name in ("image", "claim", "data_claim"):
      if not getattr(self, name) or " " in getattr(self, name):
        raise job_error(name, printable(getattr(self, name)), "a name")
    for name in ("mount", "data_mount", "directory"):
      if not getattr(self, name).startswith("/"):
        raise job_error(name, printable(getattr(self, name)), "an absolute path")
    if os.path.normpath(self.mount) == os.path.normpath(self.data_mount):
      raise job_error("data_mount", printable(self.data_mount), "another path than mount")

  def has(self, path: str) -> bool:
    """Whether pods see a path on one of the volumes."""
    whole = pathlib.PurePosixPath(os.path.normpath(path))
    return any(whole.is_relative_to(mount) for mount in (self.mount, self.data_mount))


def manifest(name: str, topology: Topology, site: Site, commands: Mapping[str, Sequence[str]],
             port: int = 2222) -> str:
  """A manifest of one run, YAML of several documents.

  Args:
    name: of the run, a DNS label of which those of its pods are made.
    topology: of its tasks.
    site: image and volumes.
    commands: arguments of the process by role; without one for the evaluator there is none.
    port: at which tasks listen.

  Raises:
    ConfigError: a name is no DNS label or too long, or a text has control characters.
  """
  configs = {role: config for role, _, config in tf_configs(name, topology, port=port)}
  run = {"app.kubernetes.io/name": "jft-reps", "app.kubernetes.io/instance": name}
  about = {"name": name, "labels": run}
  documents: list[dict[str, Any]] = [
      {"apiVersion": "v1", "kind": "Service", "metadata": about,
       "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": run,
                "ports": [{"name": "grpc", "port": port}]}},
      # TensorFlow's servers run what anyone sends them.
      {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": about,
       "spec": {"podSelector": {"matchLabels": run}, "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"podSelector": {"matchLabels": run}}]}]}}]
  for role, count in topology.roles().items():
    if role in commands:
      pod = _pod(name, role, topology, site, commands[role], configs[role])
      documents.append(_job(name, role, count, run, pod))
  return yaml.dump_all(documents, Dumper=_Quoting, explicit_start=True, sort_keys=False,
                       allow_unicode=True, width=10**6)


def _job(name: str, role: str, count: int, run: Mapping[str, str],
         pod: Mapping[str, Any]) -> dict[str, Any]:
  """An indexed Job of `count` pods."""
  labels = {**run, "app.kubernetes.io/component": role}
  rules: list[dict[str, Any]] = [{
      "action": "Ignore",
      "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
  if role == "chief":  # the one to say that the run has failed; the others can only wait for it
    rules += [{"action": action, "onExitCodes": {"operator": "In", "values": list(codes)}}
              for action, codes in (("Ignore", (_AGAIN,)), ("FailJob", _FOR_GOOD))]
  return {
      "apiVersion": "batch/v1", "kind": "Job",
      "metadata": {"name": f"{name}-{role}", "labels": labels},
      "spec": {
          "completionMode": "Indexed", "completions": count, "parallelism": count,
          "backoffLimitPerIndex": _FAILURES,
          "podReplacementPolicy": "Failed",  # never two of one address
          "podFailurePolicy": {"rules": rules},
          "template": {"metadata": {"labels": labels}, "spec": pod}}}


def _pod(name: str, role: str, topology: Topology, site: Site, command: Sequence[str],
         config: Mapping[str, Any]) -> dict[str, Any]:
  """What runs in each pod of a role."""
  requests = {"cpu": str(topology.cpus), "memory": f"{topology.memory_gb}G"}
  limits = {"memory": requests["memory"]}
  if topology.gpu and role in ("worker", "evaluator"):
    limits["nvidia.com/gpu"] = "1"
  # Kubernetes puts the pod's own index there.
  task = json.dumps({**config, "task": {"type": role, "index": "?"}})
  index = "metadata.labels['batch.kubernetes.io/job-completion-index']"
  environment = [
      {"name": "TASK_INDEX", "valueFrom": {"fieldRef": {"fieldPath": index}}},
      {"name": "TF_CONFIG", "value": task.replace('"?"', "$(TASK_INDEX)")}]
  container = {
      "name": "jft-reps", "image": site.image, "workingDir": site.directory,
      "command": [part.replace("$", "$$") for part in command],  # or $(NAME) would be replaced
      "env": environment, "resources": {"requests": requests, "limits": limits},
      "securityContext": {"allowPrivilegeEscalation": False},
      "volumeMounts": [{"name": "study", "mountPath": site.mount},
                       {"name": "data", "mountPath": site.data_mount, "readOnly": True}]}
  return {
      "restartPolicy": "Never", "subdomain": name, "automountServiceAccountToken": False,
      "terminationGracePeriodSeconds": _GRACE, "containers": [container],
      "volumes": [{"name": name, "persistentVolumeClaim": {"claimName": claim}}
                  for name, claim in (("study", site.claim), ("data", site.data_claim))]}


class _Quoting(yaml.SafeDumper):
  """Quotes every text, since Kubernetes takes 1e3, 0o14 and yes for other things than PyYAML."""

  def ignore_aliases(self, data: object) -> bool:
    return True  # labels stand in several places, each time in full

  def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None
                        ) -> yaml.MappingNode:
    node = super().represent_mapping(tag, mapping, flow_style)
    for key, _ in node.value:
      key.style = None  # our own names, which are easier to read without quotes
    return node


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
  if not text.isprintable():
    raise job_error("text", printable(text), "text without control characters")
  return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoting.add_representer(str, _quoted)
