"""Runs the shards of a build: in a pool of processes here, or under any Apache Beam runner."""

from __future__ import annotations

import concurrent.futures
import logging as stdlib_logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jft_reps import errors
from jft_reps.data.building import one_shard
from jft_reps.data.building.one_shard import Job

_BEAM_POLL = 5.0
_POLL = 0.2  # seconds between looks at how far the processes are
_WATCH = 0.5  # seconds between looks whether there still is a chief
_AHEAD = 2  # shards at or before every other process

Runner = Callable[[Job, Sequence[int], Callable[[int], None]], Iterator[dict[str, Any]]]
_counter: Any = None


def here(job: Job, indices: Sequence[int], report: Callable[[int], None]
         ) -> Iterator[dict[str, Any]]:
  """Makes shards one after another in this process; gives what was counted in each.

  Args:
    job: of the build.
    indices: of the shards to make.
    report: called with the number of pictures done, after each.
  """
  count = 0

  def one_more() -> None:
    nonlocal count
    count += 1
    report(count)

  for index in indices:
    yield one_shard.make(job, index, one_more)


def processes(number: int) -> Runner:
  """`here`, in this many processes, of which this one is one; shards come as they are done."""
  if number <= 1:
    return here

  def run(job: Job, indices: Sequence[int], report: Callable[[int], None]
          ) -> Iterator[dict[str, Any]]:
    # One import of TensorFlow for all: processes are forked from one that did nothing else.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([one_shard.__name__, "tensorflow"])
    counter = context.Value("q", 0)
    pool = concurrent.futures.ProcessPoolExecutor(
        max(1, min(number, len(indices)) - 1), mp_context=context, initializer=_start,
        initargs=(counter, os.getpid()))
    _start(counter)
    try:
      yield from _results(pool, job, list(indices), number - 1, lambda: report(counter.value))
    except concurrent.futures.process.BrokenProcessPool:
      raise errors.DataError(
          "process-died", job.folder, "a process that makes shards ended early", "",
          "Out of memory or killed? Build again, with fewer processes: it goes on where it was. "
          "A script of your own has to call it below `if __name__ == \"__main__\":`."
      ) from None
    finally:
      pool.shutdown(wait=True, cancel_futures=True)

  return run


def _results(pool: concurrent.futures.Executor, job: Job, left: list[int], others: int,
             report: Callable[[], None]) -> Iterator[dict[str, Any]]:
  """Shards of the pool, and between them those that this process makes itself."""
  running: set[concurrent.futures.Future] = set()
  left.reverse()
  while left or running:
    while left and len(running) < _AHEAD * others:
      running.add(pool.submit(_make, job, left.pop()))
    if left:  # the pool is busy, at first with its imports
      yield _make(job, left.pop(), report)
    finished, running = concurrent.futures.wait(
        running, 0 if left else _POLL, concurrent.futures.FIRST_COMPLETED)
    report()
    for future in finished:
      yield future.result()


def _start(counter: Any, chief: int | None = None) -> None:
  """Takes the count of pictures; ends this process soon after `chief`, its starter, is gone."""
  global _counter
  _counter = counter

  def watch(chief: int) -> None:
    while True:
      try:
        os.kill(chief, 0)
      except ProcessLookupError:
        os._exit(1)
      time.sleep(_WATCH)

  if chief is not None:
    threading.Thread(target=watch, args=(chief,), daemon=True).start()


def _make(job: Job, index: int, report: Callable[[], None] = lambda: None) -> dict[str, Any]:
  def one_more() -> None:
    with _counter.get_lock():
      _counter.value += 1
    report()

  return one_shard.make(job, index, one_more)


def beam(options: Sequence[str] = ()) -> Runner:
  """Every shard an element of an Apache Beam pipeline, whose workers see the folder of the build.

  Args:
    options: of Beam, as `--runner=FlinkRunner` or `--direct_num_workers=2`.

  Raises:
    errors.ConfigError: Beam is not installed.
  """
  try:
    import apache_beam
    from apache_beam.options import pipeline_options
  except ImportError:
    raise errors.ConfigError("no-beam", "--runner", "Apache Beam is not installed", "",
                             "Install it: pip install 'jft_reps[beam]'.") from None
  stdlib_logging.getLogger("apache_beam").setLevel(stdlib_logging.ERROR)
  try:
    arguments = pipeline_options.PipelineOptions(list(options))
    runner = apache_beam.runners.create_runner(
        arguments.view_as(pipeline_options.StandardOptions).runner or "DirectRunner")
  except (ValueError, SystemExit) as error:  # an unknown runner; argparse exits
    raise errors.ConfigError("beam-runner", "--runner", errors.printable(error),
                             "a runner of Apache Beam and its options") from None

  def run(job: Job, indices: Sequence[int], report: Callable[[int], None]
          ) -> Iterator[dict[str, Any]]:
    def pipeline() -> None:
      with apache_beam.Pipeline(runner=runner, options=arguments) as whole:
        _ = (whole | apache_beam.Create(list(indices)) | apache_beam.Reshuffle()
             | apache_beam.Map(_attempt, job))

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
      running = thread.submit(pipeline)
      while not running.done():
        concurrent.futures.wait([running], _BEAM_POLL)
        report(sum(one["seen"] for i in indices if (one := one_shard.done(job, i))))
      running.result()
    for index in indices:
      counted = one_shard.done(job, index)
      if counted is None:
        raise one_shard.failure(job, index)
      yield counted

  return run


def _attempt(index: int, job: Job) -> None:
  """Makes a shard; leaves the error where the chief finds it."""
  try:
    one_shard.make(job, index)
  except errors.JftError as error:
    one_shard.keep_failure(job, index, error)
