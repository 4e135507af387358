"""One TensorFlow import, few threads and the real data where it is present."""

from __future__ import annotations

import gc
import os
import pathlib

import hypothesis
import pytest

from jft_reps import environment

environment.set_defaults()
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# In-process clusters need a waiting thread per worker, and TensorFlow fixes them at its first op.
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "16")

# Thousands of graphs live in one process; looking through them often takes a tenth of the time.
gc.set_threshold(50_000, 10, 10)

# How long an example takes says how busy the machine is. --hypothesis-profile=nightly looks longer.
_ANY_MACHINE = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("any_machine", _ANY_MACHINE, max_examples=30)
hypothesis.settings.register_profile("nightly", _ANY_MACHINE, max_examples=400)
hypothesis.settings.load_profile("any_machine")

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
  return ROOT


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
  """Folder of real pictures, hierarchies and evaluation cases; skips where it is absent."""
  path = pathlib.Path(os.environ.get("JFT_REPS_SHARED", ROOT.parent / "shared")) / "data"
  if not path.is_dir():
    pytest.skip(f"no real data at {path}")
  return path


def pytest_collection_modifyitems(items):
  """The longest files come first, so that at the end no process is left alone with one of them."""
  lines = (ROOT / "tests" / "longest.txt").read_text().splitlines()
  seconds = {file: float(took) for took, file in (
      line.split() for line in lines if line and not line.startswith("#"))}
  items.sort(key=lambda item: -seconds.get(str(item.path.relative_to(ROOT)), 0.0))
