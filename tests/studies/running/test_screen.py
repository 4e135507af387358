"""A terminal is redrawn, a file gets lines."""

from __future__ import annotations

import io

from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.running import progress
from jft_reps.studies.running.screen import Screen

_PLAN = Plan([Run(name, name, cost=10) for name in ("p1", "p2", "t1", "t2", "u2")])


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def test_a_terminal_is_redrawn_and_a_file_gets_a_line_now_and_then():
  state = progress.progress(_PLAN, {}, 1, {_PLAN.ids()["p1"]: 100.0})
  plain, terminal = io.StringIO(), _Terminal()
  for screen in (Screen(plain, every=1000), Screen(terminal)):
    screen(state)
    screen(state)
    screen(state, final=True)
  lines = state.lines()
  assert lines[0] == "running  p1  2 min"
  assert plain.getvalue().splitlines() == [state.counts(), *lines]
  assert terminal.getvalue() == "".join(f"{x}\n" for x in lines) + "\x1b[2F\x1b[J" + "".join(
      f"{x}\n" for x in lines)
