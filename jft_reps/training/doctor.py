"""Checks of an installation, a machine and a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import shutil
from importlib import metadata

from jft_reps import environment
from jft_reps.errors import JftError

# package: (wanted prefix or None, what goes wrong otherwise)
_PINNED = {
    "tensorflow": ("2.20.", "tf-models-official 2.20 needs exactly this minor version"),
    "tf_keras": ("2.20.", "Keras 3 loses updates under parameter servers"),
    "tf-models-official": ("2.20.", "written for TensorFlow 2.20"),
    "tensorflow-datasets": (None, ""),
    "tensorboard": ("2.20.", "belongs to TensorFlow 2.20"),
    "numpy": (None, ""),
    "ml_collections": (None, ""),
    "absl-py": (None, ""),
    "pycocotools": (None, ""),
    "protobuf": (None, ""),
}


@dataclasses.dataclass(frozen=True)
class Finding:
  """One line: `ok`, `note` or `FAIL`, of what, what was found and what to do."""

  mark: str
  what: str
  found: str
  fix: str = ""


def examine(workdir: str, tf_config: str = "", timeout: float = 5.0,
            allow_remote: bool = False) -> list[Finding]:
  """Everything that can be said without training.

  Args:
    workdir: where runs will be written.
    tf_config: the cluster to reach, or empty.
    timeout: seconds to wait for it.
    allow_remote: whether its addresses may be beyond this machine.
  """
  return [_python(), *_packages(), _setuptools(), *_devices(), _disk(workdir),
          *_cluster(tf_config, timeout, allow_remote)]


def _python() -> Finding:
  version = platform.python_version()
  good = (3, 10) <= tuple(map(int, version.split(".")[:2])) <= (3, 13)
  return Finding("ok  " if good else "FAIL", "python", version,
                 "" if good else "TensorFlow 2.20 has wheels for Python 3.10 to 3.13.")


def _version(package: str) -> str | None:
  with contextlib.suppress(metadata.PackageNotFoundError):
    return metadata.version(package)
  return None


def _packages() -> list[Finding]:
  findings = []
  for package, (prefix, why) in _PINNED.items():
    version = _version(package)
    if version is None:
      findings.append(Finding("FAIL", package, "not installed", "pip install jft_reps"))
    elif prefix and not version.startswith(prefix):
      findings.append(Finding("FAIL", package, version, f"{prefix}* is needed: {why}."))
    else:
      findings.append(Finding("ok  ", package, version))
  return findings


def _setuptools() -> Finding:
  version = _version("setuptools")
  bad = version is None or int(version.split(".")[0]) >= 82
  return Finding("FAIL" if bad else "ok  ", "setuptools", version or "not installed",
                 'TensorBoard 2.20 imports pkg_resources: pip install "setuptools<82"'
                 if bad else "")


def _devices() -> list[Finding]:
  environment.set_defaults()
  try:
    import tensorflow as tf
  except Exception as e:
    return [Finding("FAIL", "import tensorflow", f"{type(e).__name__}: {e}"[:200])]
  gpus = tf.config.list_physical_devices("GPU")
  findings = [Finding("ok  ", "processor cores", str(os.cpu_count()))]
  if gpus:
    return [*findings, Finding("ok  ", "GPUs", ", ".join(g.name for g in gpus))]
  return [*findings, Finding("note", "GPUs", "none seen",
                             "With an NVIDIA GPU: pip install 'jft_reps[gpu]'.")]


def _disk(workdir: str) -> Finding:
  folder = os.path.abspath(workdir)
  while not os.path.isdir(folder):
    folder = os.path.dirname(folder)
  if not os.access(folder, os.W_OK):
    return Finding("FAIL", "workdir", f"{folder} is not writable", "Choose another --workdir.")
  free = shutil.disk_usage(folder).free / 2**30
  low = free < 2
  return Finding("note" if low else "ok  ", "workdir", f"{folder}, {free:.0f} GiB free",
                 "A ResNet-101 checkpoint with slots takes about 1 GiB." if low else "")


def _cluster(text: str, timeout: float, allow_remote: bool) -> list[Finding]:
  if not text:
    return [Finding("note", "TF_CONFIG", "not set: one machine")]
  from jft_reps.training.cluster import start as cluster_lib
  try:
    cluster = cluster_lib.from_tf_config(text, allow_remote)
    cluster_lib.preflight(cluster, timeout)
  except JftError as e:
    return [Finding("FAIL", "cluster", str(e))]
  return [Finding("ok  ", "cluster", f"{len(cluster.workers)} workers and "
                                     f"{len(cluster.servers)} parameter servers answer")]
