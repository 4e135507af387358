"""A talk with a cluster ends: with its answer, its error, or the names of those who are silent."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from jft_reps.errors import ClusterError
from jft_reps.training.cluster import liveness
from jft_reps.training.cluster import start as cluster_lib


@contextlib.contextmanager
def listening(greeting: bytes):
  """Yields an address; connections are accepted by the kernel, or greeted where there is a word."""
  with socket.create_server(("127.0.0.1", 0)) as server:
    def greet():
      with contextlib.suppress(OSError):
        while True:
          connection, _ = server.accept()
          connection.sendall(greeting)
          connection.close()
    if greeting:
      threading.Thread(target=greet, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)


def test_a_server_answers_one_that_only_accepts_connections_does_not():
  running = cluster_lib.start_in_process(1, 1)
  with listening(b"") as frozen, cluster_lib.free_ports(1) as (gone,):
    assert cluster_lib.answers(frozen) and not liveness.responds(frozen, 0.5)
    assert not liveness.responds(f"127.0.0.1:{gone}", 0.5)
    tasks = [*running.tasks(), ("ps", 7, frozen)]
    assert liveness.silent(tasks, 1.0) == [("ps", 7, frozen)]


def test_a_talk_gives_its_value_or_its_own_error():
  assert liveness.ask(lambda: 7, [], lambda: 1.0) == 7
  with pytest.raises(KeyError, match="mine"):
    liveness.ask(lambda: {}["mine"], [], lambda: 1.0)


def test_a_talk_that_a_silent_task_holds_up_ends_and_names_it():
  never = threading.Event()
  with listening(b"") as frozen, listening(b"settings") as well:
    tasks = [("ps", 0, well), ("ps", 1, frozen)]
    start = time.monotonic()
    with pytest.raises(ClusterError, match=rf"no answer from ps 1 \({frozen}\)") as raised:
      liveness.ask(never.wait, tasks, lambda: 2.0)
    assert 2 <= time.monotonic() - start < 60
    assert raised.value.slug == "stalled" and well not in str(raised.value)
  never.set()


def test_a_long_talk_with_tasks_that_answer_is_not_cut_short():
  with listening(b"settings") as well:
    assert liveness.ask(lambda: time.sleep(4.5) or "saved", [("ps", 0, well)],
                        lambda: 2.0) == "saved"


def test_a_talk_that_never_ends_is_given_up_though_all_answer():
  never = threading.Event()
  with listening(b"settings") as well:
    with pytest.raises(ClusterError, match="gave no result for 2 s"):
      liveness.ask(never.wait, [("ps", 0, well)], lambda: 60.0, patience=2.0)
  never.set()


def test_who_is_told_to_stop_waits_less():
  told, never = threading.Event(), threading.Event()
  threading.Timer(1.5, told.set).start()
  with listening(b"") as frozen:
    start = time.monotonic()
    with pytest.raises(ClusterError):
      liveness.ask(never.wait, [("ps", 0, frozen)], lambda: 2.0 if told.is_set() else 600.0)
    assert time.monotonic() - start < 120
  never.set()
