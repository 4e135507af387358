"""Runs a plan: what is needed first, several at once, through kills of runs and of the runner.

  plan.json       the plan, for `progress.status`
  ledger.jsonl    what was started and how it ended
  runs/<id>/      a directory for each run (see `run_files.py`)

Every run is a process of its own under a keeper (`keeper.py`), so that one that crashes, hangs or
diverges stops only those that need it. A run is done when its numbers are there, whoever saw that:
a runner that was killed before it could write it down takes them over when it comes back. Whoever
needs the disk may remove directories of runs that are done: they are made again if a run that is
left needs them.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO

from jft_reps.errors import ConfigError, DataError, printable
from jft_reps.studies import schedule
from jft_reps.studies.plan import Plan, Run, resolved
from jft_reps.studies.running import keeper, ledger, progress, run_files, stored_plan
from jft_reps.studies.running.results import DONE, RunResult
from jft_reps.studies.running.screen import Screen

Command = Callable[[Run, pathlib.Path], Sequence[str]]
_POLL, _SHOW = 0.05, 0.5  # seconds


def run(plan: Plan, workdir: str | os.PathLike, command: Command, *, jobs: int = 1,
        cores: int | None = None, timeout: float | None = None, retry_failed: bool = False,
        stream: IO[str] | None = None, grace: float = 5.0,
        source: stored_plan.PlanSource | None = None, whole: Plan | None = None,
        elsewhere: Iterable[RunResult] = ()) -> progress.Progress:
  """Makes all runs of a plan that are not done.

  Args:
    plan: of the runs; those that do the same are made once.
    workdir: takes everything; may hold other plans' runs already.
    command: arguments of the process that makes a resolved run in its directory, which ends with
      `run_files.write_numbers`; `run.json` in the directory holds the run.
    jobs: runs at once, the longest chains first.
    cores: shared out evenly between the jobs (default: all that this process may use).
    timeout: seconds that a run may take.
    retry_failed: whether runs that failed before are tried once more.
    stream: where progress is shown.
    grace: seconds between asking a run to end and killing it.
    source, whole: of the plan, kept for the report, see `stored_plan.of`.
    elsewhere: runs that are done in another study, whose numbers are taken over.

  Returns:
    The final state; what failed or is blocked is no exception.

  Raises:
    ConfigError: the plan is no graph, or another study is running in the directory.
    StorageError: the directory cannot be written.
  """
  if jobs < 1 or (timeout is not None and timeout <= 0):
    raise ConfigError("flags", "study", f"{jobs} jobs, timeout {timeout}", "more than 0")
  workdir = pathlib.Path(workdir).absolute()
  with ledger.alone(workdir):
    study = _Study(plan, workdir, command, jobs,
                   max(1, (cores or len(os.sched_getaffinity(0))) // jobs), timeout, grace)
    study.take_over(elsewhere)
    if retry_failed:
      study.again |= set(ledger.failed(study.book.records, study.ids.values()))
    study.again |= study.gone()
    stored_plan.write_beside(workdir, stored_plan.of(plan, jobs, source, whole))
    if stream:
      print(schedule.disk_note(plan, study.state().left, workdir), file=stream, flush=True)
    with study.ending():
      return study.run(Screen(stream) if stream else lambda state, final=False: None)


def directory(workdir: str | os.PathLike, id: str) -> pathlib.Path:
  """Of the run with an id."""
  return pathlib.Path(workdir) / "runs" / id


def numbers(plan: Plan, workdir: str | os.PathLike) -> dict[str, dict[str, float | None]]:
  """What came out of each run of the plan that is done, by name; None: was not finite."""
  records, ids = ledger.read(workdir), plan.ids()
  done = lambda name: ids[name] in records and records[ids[name]].status == "done"
  return {run.name: records[ids[run.name]].numbers for run in plan if done(run.name)}


class _Study:
  """A plan in its work directory while it runs."""

  def __init__(self, plan: Plan, workdir: pathlib.Path, command: Command, jobs: int, cores: int,
               timeout: float | None, grace: float):
    self.plan, self.workdir, self.jobs = plan, workdir, jobs
    self.ids = plan.ids()
    self.book = ledger.Ledger(workdir)
    self.again: set[str] = set()  # ids of runs to be made whatever the ledger says
    self._command, self._timeout, self._grace = command, timeout, grace
    self._environment = {**os.environ, **dict.fromkeys(
        ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "STUDY_CORES"), str(cores))}
    self._running: dict[str, tuple[Run, subprocess.Popen, float]] = {}

  def _directory(self, name: str) -> pathlib.Path:
    return directory(self.workdir, self.ids[name])

  def _failures(self, id: str) -> int:
    return self.book.records[id].failures if id in self.book.records else 0

  def state(self) -> progress.Progress:
    now = time.monotonic()
    running = {id: now - start for id, (_, _, start) in self._running.items()}
    return progress.progress(self.plan, self.book.records, self.jobs, running,
                             frozenset(self.again))

  def take_over(self, elsewhere: Iterable[RunResult]) -> None:
    """Writes down what ended while no runner was looking, and what is done elsewhere alone."""
    known = {result.id: result for result in elsewhere if result.status == DONE}
    for run in schedule.distinct(self.plan).values():
      id = self.ids[run.name]
      record = self.book.records.get(id)
      if record is None or record.status == "started":
        self._write_down(run, or_killed=False)
      if id in known and id not in self.book.records:
        self.book.append(id, "done", numbers=dict(known[id].numbers),
                         seconds=known[id].seconds, name=run.name, kind=run.kind)

  def gone(self) -> set[str]:
    """Ids of runs that are done, whose files a run to be made needs, and whose files are gone."""
    state, distinct = self.state(), schedule.distinct(self.plan)
    made, wanted, found = set(state.left), set(), set()
    for run in reversed(self.plan.ordered()):
      id = self.ids[run.name]
      if id in wanted and run.name in state.done and not run_files.made(self._directory(run.name)):
        found.add(id)
        made.add(run.name)
      if run.name in made and run.name in distinct:
        wanted |= {self.ids[name] for name in run.needed_files()}
    return found

  def run(self, show: Callable[..., None]) -> progress.Progress:
    """Starts and ends runs until none is left."""
    seconds = {r.name: r.cost or 1.0 for r in self.plan}
    first = schedule.chain_lengths(self.plan, seconds)
    needs = schedule.needs(self.plan)
    while True:
      state = self.state()
      done = set(state.done)
      ready = [name for name in state.left if needs[name] <= done]
      if not ready and not self._running:
        show(state, final=True)
        return state
      ready.sort(key=lambda name: -first[name])
      for name in ready[:self.jobs - len(self._running)]:
        self._start(self.plan[name])
      shown = time.monotonic() - 2 * _SHOW
      while not self._ended():
        if time.monotonic() - shown > _SHOW:
          shown = time.monotonic()
          show(self.state())
        time.sleep(_POLL)

  def _start(self, run: Run) -> None:
    """Starts the keeper of a run, or writes down why not."""
    id, place = self.ids[run.name], self._directory(run.name)
    attempt = self._failures(id)
    self.book.append(id, "started", name=run.name, kind=run.kind)
    try:
      place.mkdir(parents=True, exist_ok=True)
      if id in self.again:
        for name in (keeper.NUMBERS, keeper.OUTCOME):
          (place / name).unlink(missing_ok=True)
        self.again.discard(id)
      self._restore_numbers(run)
      there = resolved(run, self._directory)
      run_files.write_run(place, there)
      command = [os.fspath(argument) for argument in self._command(there, place)]
      process = self._kept(command, place, attempt)
    except Exception as error:  # the command is the caller's: one run must not stop the rest
      self.book.append(id, "failed", name=run.name, kind=run.kind, reason=printable(error))
      return
    self._running[id] = run, process, time.monotonic()

  def _restore_numbers(self, run: Run) -> None:
    """Puts numbers that a run needs where it looks for them, if their directory is gone."""
    for name in run.needed():
      path = self._directory(name) / keeper.NUMBERS
      if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        run_files.write_numbers(path.parent, self.book.records[self.ids[name]].numbers)

  def _kept(self, command: Sequence[str], place: pathlib.Path, attempt: int) -> subprocess.Popen:
    """A keeper with a command."""
    with open(place / "log.txt", "ab") as log:
      shown = printable(shlex.join(command), 1000)
      log.write(f"{run_files.HEADER}attempt {attempt + 1}: {shown}\n".encode("utf-8", "replace"))
      log.flush()
      return subprocess.Popen(
          [sys.executable, "-I", "-S", keeper.__file__, str(place), str(attempt),
           str(self._timeout or 0), str(self._grace), *command],
          stdin=subprocess.PIPE, stdout=log, stderr=log, env=self._environment,
          start_new_session=True)

  def _ended(self) -> bool:
    """Writes down the runs that have ended; whether there are any, or none is running."""
    ended = [id for id, (_, process, _) in self._running.items() if process.poll() is not None]
    for id in ended:
      run, process, _ = self._running.pop(id)
      _let_go(process)
      keeper.end_left_over(self._directory(run.name))
      self._write_down(run, or_killed=True)
    return bool(ended) or not self._running

  def _write_down(self, run: Run, or_killed: bool) -> None:
    """Brings what the run's directory says of this attempt into the ledger, if it says anything."""
    id, place = self.ids[run.name], self._directory(run.name)
    outcome = run_files.read_outcome(place)
    if outcome.get("attempt") != self._failures(id):
      outcome = {}
    about = {"name": run.name, "kind": run.kind, "seconds": outcome.get("seconds")}
    status, reason = outcome.get("status"), outcome.get("reason", "")
    if status in ledger.FAILURES:
      pass
    elif status == "done" or (place / keeper.NUMBERS).exists():
      try:
        self.book.append(id, "done", numbers=run_files.read_numbers(place), **about)
        return
      except DataError as error:
        (place / keeper.NUMBERS).unlink(missing_ok=True)
        status, reason = "failed", f"no numbers: {error.found}"
    elif or_killed:
      status, reason = "killed", "its keeper ended without a word"
    else:
      return
    said = run_files.last_line(place)
    self.book.append(id, status, reason=f"{reason}: {said}" if said else reason, **about)

  @contextlib.contextmanager
  def ending(self) -> Iterator[None]:
    """Ends all that is still running, whatever happened."""
    try:
      yield
    finally:
      for _, process, _ in self._running.values():
        _let_go(process)
      for _, process, _ in self._running.values():
        with contextlib.suppress(subprocess.TimeoutExpired):
          process.wait(2 * self._grace + 5)


def _let_go(process: subprocess.Popen) -> None:
  """Closes the pipe by which a keeper knows that its runner lives, so that it ends its run."""
  if process.stdin is not None:
    process.stdin.close()
