"""Progress: redrawn in one line of a terminal, whole lines in a file."""

from __future__ import annotations

import io
import re
import threading

import pytest

from jft_reps import progress


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def test_a_file_gets_lines_and_the_last_says_how_it_ended():
  out = io.StringIO()
  bar = progress.Progress(5000, "steps", out, every=0.0)
  for step in (2000, 3000, 5000):
    bar(step, f"loss {step / 1e4}")
  bar.close()
  bar.close()
  lines = out.getvalue().split("\n")
  assert [line.split("  ")[0] for line in lines] == [
      "2,000/5,000 steps", "3,000/5,000 steps", "5,000/5,000 steps", "5,000/5,000 steps", ""]
  assert lines[1].endswith("left, loss 0.3") and "\r" not in out.getvalue()


def test_a_terminal_is_redrawn_in_one_line_that_ends():
  out = _Terminal()
  bar = progress.Progress(40, "steps", out)
  bar(10)
  bar(40)
  assert not out.getvalue()  # not yet
  bar.close()
  assert re.fullmatch(r"\r\[#{20}\] 40/40 steps  [\d.]+/s  00:00 left\n", out.getvalue())


@pytest.mark.parametrize("total, shown", [(None, ""), (3, "2/3 short"), (0, "2/2 short")])
def test_what_is_done_at_once_is_said_where_the_total_is_known(total, shown):
  out = io.StringIO()
  bar = progress.Progress(total, "short", out)
  bar(1)
  bar(2)
  bar.close()
  assert out.getvalue().split("  ")[0] == shown


def test_workers_may_pass_the_last_step_and_go_back():
  out = io.StringIO()
  bar = progress.Progress(10, "steps", out, every=0.0)
  for step in (8, 13, 9):
    bar(step)
  bar.close()
  assert [line.split("  ")[0] for line in out.getvalue().splitlines()][-1] == "9/13 steps"


def test_nothing_is_left_behind_that_a_fork_would_hang_on():
  before = threading.active_count()
  bar = progress.Progress(10, "steps", io.StringIO())
  bar(1)
  assert threading.active_count() == before
  assert isinstance(bar._bar.get_lock(), type(threading.RLock()))


def test_a_counter_has_a_bar_for_every_size(capsys):
  count = progress.counter("shards")
  for done, total in ((1, 2), (2, 2), (1, 1)):
    count(done, total)
  assert [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()] == [
      "2/2 shards", "1/1 shards"]
