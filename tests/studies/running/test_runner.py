"""Studies of toy commands: what fails, hangs, crashes or is killed stops only what needs it."""

from __future__ import annotations

import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from jft_reps.errors import ConfigError
from jft_reps.studies.plan import Output, Plan, Run
from jft_reps.studies.running import ledger, progress, run_files, runner

# The configuration of a toy run is its program; `commit` is as `run_files.write_numbers`.
_BEFORE = """
import json, os, signal, subprocess, sys, time
run = json.load(open("run.json"))["overrides"]
def commit(**numbers):
  with open("partial", "w") as file:
    json.dump(numbers, file)
  with open("x.json", "w") as file:
    json.dump(numbers, file)
  os.replace("partial", "numbers.json")
"""


def _command(run: Run, directory: pathlib.Path) -> list[str]:
  program = f"import os; os.chdir({str(directory)!r})\n{_BEFORE}\n{run.config}"
  return [sys.executable, "-I", "-S", "-c", program]


def _add() -> str:
  """A program whose number is one more than the sum of those of its overrides."""
  return 'commit(x=1 + sum(json.load(open(p))["x"] for p in run.values()))'


def _diamond(top: str = _add()) -> Plan:
  x = lambda name: Output(name, "x.json")
  return Plan([Run("top", top), Run("left", _add(), {"a": x("top")}),
               Run("right", _add(), {"b": x("top")}),
               Run("bottom", _add(), {"c": x("left"), "d": x("right")}), Run("alone", "commit()")])


def _events(workdir, id: str) -> list[str]:
  lines = (pathlib.Path(workdir) / "ledger.jsonl").read_text().splitlines()
  return [line["status"] for line in map(json.loads, lines) if line["id"] == id]


def _gone(pid: int) -> bool:
  try:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
  except OSError:
    return True


def _wait(condition, seconds: float = 60.0) -> None:
  limit = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < limit
    time.sleep(0.01)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_diamond_passes_its_numbers_down(tmp_path, jobs):
  state = runner.run(_diamond(), tmp_path, _command, jobs=jobs)
  # 1; twice 1 + 1; 1 + 2 + 2.
  assert runner.numbers(_diamond(), tmp_path) == {
      "top": {"x": 1}, "left": {"x": 2}, "right": {"x": 2}, "bottom": {"x": 5}, "alone": {}}
  assert len(state.done) == 5 and state.counts() == "5 of 5 done"
  assert progress.status(tmp_path) == state


def test_a_failure_blocks_what_needs_it_until_it_is_retried(tmp_path):
  plan = _diamond('print("no records"); sys.exit(0 if os.path.exists("fine") and not '
                  'commit(x=1) else 3)')
  state = runner.run(plan, tmp_path, _command)
  assert state.done == ["alone"] and state.failed["top"].reason == "exit code 3: no records"
  assert state.blocked == dict.fromkeys(("left", "right", "bottom"), "top")
  (runner.directory(tmp_path, plan.ids()["top"]) / "fine").touch()
  assert runner.run(plan, tmp_path, _command).failed["top"].failures == 1
  assert len(runner.run(plan, tmp_path, _command, retry_failed=True).done) == 5
  assert _events(tmp_path, plan.ids()["top"]) == ["started", "failed", "started", "done"]
  assert _events(tmp_path, plan.ids()["alone"]) == ["started", "done"]


def test_every_bad_end_is_told_apart(tmp_path):
  plan = Plan([
      Run("hangs", "time.sleep(60)"), Run("killed", "os.kill(os.getpid(), signal.SIGKILL)"),
      Run("deaf", "signal.signal(15, signal.SIG_IGN)\ntime.sleep(60)"),
      Run("silent", "pass"), Run("text", 'commit(x="much")'), Run("list", 'print("[]", '
      'file=open("numbers.json", "w"))'), Run("late", "commit(x=1); sys.exit(1)"),
      Run("diverges", 'commit(x=float("nan"), y=-float("inf"), z=2.5, n=None)'),
      Run("no command", "pass", kind="broken"), Run("no program", "pass", kind="missing")])

  def command(run, directory):
    if run.kind == "broken":
      raise ValueError("of the caller")
    return ["/nowhere/program"] if run.kind == "missing" else _command(run, directory)

  state = runner.run(plan, tmp_path, command, jobs=4, timeout=6.0, grace=0.3)
  assert {name: record.status for name, record in state.failed.items()} == {
      "hangs": "timeout", "deaf": "timeout", "killed": "killed", "silent": "failed",
      "text": "failed", "list": "failed", "late": "failed", "no command": "failed",
      "no program": "failed"}
  reason = lambda name: state.failed[name].reason
  assert reason("killed").startswith("by signal 9") and reason("hangs") == "after 6 s"
  assert reason("late") == "exit code 1" and reason("silent").startswith("no numbers")
  assert reason("no command") == "of the caller" and "/nowhere/program" in reason("no program")
  assert runner.numbers(plan, tmp_path) == {"diverges": {"x": None, "y": None, "z": 2.5, "n": None}}
  assert "NaN" not in (tmp_path / "ledger.jsonl").read_text()


def test_plans_share_runs_in_one_directory(tmp_path):
  runner.run(_diamond(), tmp_path, _command)
  other = Plan([Run("start", _add()), Run("one", _add(), {"a": Output("start", "x.json")}),
                Run("two", _add(), {"z": Output("start", "x.json")}), Run("same", _add())])
  made = []
  state = runner.run(other, tmp_path, lambda run, d: made.append(run.name) or _command(run, d))
  assert made == ["two"] and state.counts() == "3 of 3 done"
  assert runner.numbers(other, tmp_path) == {
      "start": {"x": 1}, "one": {"x": 2}, "two": {"x": 2}, "same": {"x": 1}}


def test_two_jobs_overlap_and_share_the_cores(tmp_path):
  """Each of two runs waits until the other one is there, too."""
  meet = ('open(run["mine"], "w").close()\nwhile not os.path.exists(run["other"]): time.sleep(0.01)'
          '\ncommit(cores=int(os.environ["TF_NUM_INTRAOP_THREADS"]), '
          'omp=int(os.environ["OMP_NUM_THREADS"]))')
  a, b = str(tmp_path / "a"), str(tmp_path / "b")
  plan = Plan([Run("a", meet, {"mine": a, "other": b}), Run("b", meet, {"mine": b, "other": a})])
  runner.run(plan, tmp_path / "study", _command, jobs=2, cores=6, timeout=120)
  assert runner.numbers(plan, tmp_path / "study") == dict.fromkeys("ab", {"cores": 3, "omp": 3})


def test_cores_are_those_that_the_process_may_use(tmp_path, monkeypatch):
  monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
  plan = Plan([Run("a", 'commit(cores=int(os.environ["STUDY_CORES"]))')])
  runner.run(plan, tmp_path / "study", _command, jobs=3, timeout=120)
  assert runner.numbers(plan, tmp_path / "study") == {"a": {"cores": 2}}


def test_nothing_of_a_run_is_left_behind_it(tmp_path):
  child = 'p = subprocess.Popen(["sleep", "60"])\nprint(p.pid, file=open("pid", "w"))\n'
  plan = Plan([Run("leaves", child + "commit()"), Run("crashes", child + "sys.exit(1)"),
               Run("hangs", child + "time.sleep(60)")])
  state = runner.run(plan, tmp_path, _command, jobs=3, timeout=4.0, grace=0.2)
  assert state.done == ["leaves"] and len(state.failed) == 2
  for id in plan.ids().values():
    pid = int((runner.directory(tmp_path, id) / "pid").read_text())
    _wait(lambda: _gone(pid))  # noqa: B023


def test_the_disk_and_progress_are_told(tmp_path):
  plan = Plan([Run("a", "commit()", gigabytes=0.4), Run("b", "commit()", {"k": 1}, gigabytes=1e9)])
  stream = io.StringIO()
  runner.run(plan, tmp_path, _command, stream=stream)
  lines = stream.getvalue().splitlines()
  assert "needs about 1000000000.4 GB" in lines[0] and lines[0].endswith("GB free: not enough")
  assert lines[-1] == "2 of 2 done"
  runner.run(plan, tmp_path, _command, stream=(stream := io.StringIO()))
  assert "needs about 0.0 GB" in stream.getvalue() and "not" not in stream.getvalue()
  with pytest.raises(ConfigError, match="0 jobs"):
    runner.run(plan, tmp_path, _command, jobs=0)


def test_numbers_and_runs_cross_the_directory(tmp_path):
  run_files.write_numbers(tmp_path, {"a": 1, "b": float("inf"), "c": 10**400, "d": True})
  assert run_files.read_numbers(tmp_path) == {"a": 1.0, "b": None, "c": None, "d": 1.0}
  run = Run("n", "c.py:x", {"k": [1, "a"]}, needs=["m"], kind="t", tags={"seed": 1}, cost=2.0)
  run_files.write_run(tmp_path, run)
  assert run_files.read_run(tmp_path) == run


_STUDY = """
import os, sys
from jft_reps.studies.running import runner
from tests.studies.running import test_runner
os.chdir(sys.argv[1])
runner.run(test_runner.kill_plan(), "study", test_runner._command, jobs=3, grace=0.5)
"""


def kill_plan() -> Plan:
  """Twenty runs in chains; each notes its process when it starts and itself when it committed."""
  work = textwrap.dedent("""
      home = "../../.."
      open(f"{home}/pid_{os.getpid()}", "w").close()
      time.sleep(run["seconds"])
      commit(i=run["i"])
      with open(f"{home}/committed", "a") as file: file.write(f"{run['i']}\\n")
      time.sleep(run["seconds"] / 2)
      """)
  rng = random.Random(7)
  return Plan(Run(str(i), work, {"i": i, "seconds": round(rng.uniform(0.05, 0.4), 3)},
                  needs=[str(i - 4)] if i >= 4 else []) for i in range(20))


def _started(folder: pathlib.Path) -> subprocess.Popen:
  root = str(pathlib.Path(__file__).parents[3])
  return subprocess.Popen([sys.executable, "-c", _STUDY, str(folder)],
                          env={**os.environ, "PYTHONPATH": root})


def _pids(folder: pathlib.Path) -> list[int]:
  return [int(path.name[4:]) for path in folder.glob("pid_*")]


def test_runs_end_with_their_runner(tmp_path):
  study = _started(tmp_path)
  _wait(lambda: len(_pids(tmp_path)) >= 3)
  with pytest.raises(ConfigError, match="workdir-in-use"):
    runner.run(_diamond(), tmp_path / "study", _command)
  study.kill()
  study.wait()
  _wait(lambda: all(map(_gone, _pids(tmp_path))), seconds=5)


@pytest.mark.slow
def test_a_study_killed_ten_times_has_every_result_once(tmp_path):
  rng = random.Random(3)
  kills = 0
  while kills < 10:
    study = _started(tmp_path)
    known = len(_pids(tmp_path))
    _wait(lambda: len(_pids(tmp_path)) > known or study.poll() is not None)  # noqa: B023
    time.sleep(rng.uniform(0, 0.25))
    if study.poll() is not None:
      break
    study.send_signal(signal.SIGKILL)
    study.wait()
    kills += 1
    if kills % 3 == 0:  # as a full disk or a power cut would leave it
      path = tmp_path / "study" / "ledger.jsonl"
      path.write_bytes(path.read_bytes()[:-rng.randrange(1, 30)])
  assert _started(tmp_path).wait(60) == 0 and kills == 10
  plan = kill_plan()
  assert runner.numbers(plan, tmp_path / "study") == {str(i): {"i": i} for i in range(20)}
  committed = (tmp_path / "committed").read_text().split()
  assert len(committed) == len(set(committed))
  lines = [json.loads(line) for line in
           (tmp_path / "study" / "ledger.jsonl").read_text().splitlines()]
  done = [line["id"] for line in lines if line["status"] == "done"]
  assert sorted(done) == sorted(plan.ids().values())
  assert not any(line["status"] in ledger.FAILURES for line in lines)


def test_what_a_killed_keeper_leaves_is_ended(tmp_path):
  plan = Plan([Run("a", 'open("pid", "w").write(str(os.getpid()))\n'
                        'os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)')])
  state = runner.run(plan, tmp_path, _command, grace=0.2)
  assert "keeper" in state.failed["a"].reason
  pid = int((runner.directory(tmp_path, plan.ids()["a"]) / "pid").read_text())
  _wait(lambda: _gone(pid))
