"""A worker or server ends with its run, and never waits for ever for a chief."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from jft_reps.errors import ClusterError
from jft_reps.training.cluster import start as cluster_lib


@pytest.fixture
def chief():
  with socket.socket() as there:
    there.bind(("127.0.0.1", 0))
    there.listen(100)
    yield there


@pytest.fixture
def serve(monkeypatch, chief):
  """`serve` of worker 0 without a TensorFlow server."""
  monkeypatch.setattr(cluster_lib, "start_server", lambda *unused: None)
  address = f"127.0.0.1:{chief.getsockname()[1]}"
  cluster = cluster_lib.Cluster(("127.0.0.1:1",), ("127.0.0.1:2",), address, "worker", 0)

  def run(**values):
    start = time.monotonic()
    return (cluster_lib.serve(cluster, environment={}, **values), time.monotonic() - start)

  run.address = address
  return run


def test_a_chief_that_never_comes_is_named(serve, chief):
  chief.close()
  with pytest.raises(ClusterError, match=f"worker 0: no answer from the chief at {serve.address}"
                     ) as raised:
    serve(first_timeout=0.5)
  assert raised.value.exit_code == 75


def test_a_chief_that_went_before_the_run_was_finished_is_named(serve, chief):
  threading.Timer(0.5, chief.close).start()
  with pytest.raises(ClusterError, match="for 1 s"):
    serve(first_timeout=60, chief_timeout=0.6)


def test_after_the_run_it_ends_with_0_once_the_chief_has_gone(serve, chief):
  start = time.monotonic()
  threading.Timer(0.8, chief.close).start()
  code, seconds = serve(finished=lambda: time.monotonic() - start > 0.4, chief_timeout=60)
  assert code == 0 and 0.8 <= seconds < 50


def test_the_end_of_an_earlier_run_is_not_the_end_of_this_one(serve, chief):
  """`DONE` lies there until the chief resumes: it counts when a time-out is over, not before."""
  chief.close()
  code, seconds = serve(finished=lambda: True, first_timeout=0.5)
  assert code == 0 and seconds >= 0.5
