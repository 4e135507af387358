"""Plans: graphs of runs whose ids say what they do."""

from __future__ import annotations

import itertools
import random

import pytest

from jft_reps.errors import ConfigError
from jft_reps.studies import plan as plan_lib
from jft_reps.studies.plan import Output, Plan, Run, flags, resolved
from jft_reps.studies.running import keeper


def _study() -> Plan:
  """Two sizes and two seeds of pre-training; each start is carried to two tasks."""
  plan = Plan()
  for size, seed in itertools.product(("1k", "10k"), (0, 1)):
    start = plan.add(Run(f"pretrain_{size}_s{seed}", f"fig4.py:{size}", {"train.seed": seed},
                         kind="pretrain", tags={"size": size, "seed": seed}))
    for task in ("coco", "voc"):
      plan.add(Run(f"{task}_{size}_s{seed}", f"{task}.py:300M",
                   {"init.checkpoint": Output(start.name, "best"), "train.seed": seed},
                   kind="transfer", tags={"size": size, "seed": seed, "figure": ("fig4", task)}))
  return plan


def test_every_run_comes_after_what_it_needs_whatever_the_order_of_adding():
  runs = list(_study())
  for seed in range(5):
    random.Random(seed).shuffle(runs)
    plan = Plan(runs)
    place = {run.name: i for i, run in enumerate(plan.ordered())}
    assert len(place) == 12
    assert all(place[n] < place[run.name] for run in runs for n in run.needed())
    assert plan.ids() == _study().ids()


def test_ids_are_of_what_a_run_does_and_not_of_what_it_is_called():
  first = Plan([Run("a", "p.py:1k", {"x": 1, "y": 2}), Run("b", "t.py", {"i": Output("a")})])
  second = Plan([Run("t", "t.py", {"i": Output("p")}, tags={"seed": 3}, cost=7.0),
                 Run("p", "p.py:1k", {"y": 2, "x": 1})])
  assert first.ids()["a"] == second.ids()["p"] and first.ids()["b"] == second.ids()["t"]


@pytest.mark.parametrize("other", [
    Run("a", "p.py:2k", {"x": 1}), Run("a", "p.py:1k", {"x": 2}), Run("a", "p.py:1k", {"x": "1"}),
    Run("a", "p.py:1k", {"x": True}), Run("a", "p.py:1k", {"x": 1}, kind="evaluate"),
    Run("a", "p.py:1k", {"x": 1}, needs=["c"])])
def test_what_a_run_does_changes_its_id_and_those_of_all_behind_it(other):
  plan = lambda a: Plan([a, Run("b", "t.py", {"i": Output("a")}), Run("c", "c.py")]).ids()
  before, after = plan(Run("a", "p.py:1k", {"x": 1})), plan(other)
  assert before["a"] != after["a"] and before["b"] != after["b"] and before["c"] == after["c"]


def test_paths_take_the_place_of_outputs_at_any_depth():
  run = Run("t", "t.py", {"a": Output("p"), "b": [Output("q", "best")], "c": 3}, needs=["r"])
  found = resolved(run, "/runs/{}".format)
  assert found.overrides == {"a": "/runs/p", "b": ["/runs/q/best"], "c": 3}
  assert found.needs == ("r", "p", "q") and run.needed() == ["r", "p", "q"]
  assert flags(found)[::2] == ["--config.a=/runs/p", "--config.c=3"]


def test_a_selection_has_what_it_needs_and_no_more():
  names = lambda plan: {run.name for run in plan}
  study = _study()
  assert names(study.select(["coco_1k_*"])) == {
      "coco_1k_s0", "coco_1k_s1", "pretrain_1k_s0", "pretrain_1k_s1"}
  assert names(study.select(tags={"figure": "voc", "seed": "1"})) == {
      "voc_1k_s1", "voc_10k_s1", "pretrain_1k_s1", "pretrain_10k_s1"}
  assert names(study.select(["pretrain_1k_s0"], {"figure": "coco", "seed": 1, "size": "10k"})) == {
      "pretrain_1k_s0", "pretrain_10k_s1", "coco_10k_s1"}
  part = study.select(["coco_1k_s0"])
  assert part.ids()["coco_1k_s0"] == study.ids()["coco_1k_s0"]


def test_what_is_wrong_with_a_plan_is_named():
  with pytest.raises(ConfigError, match="run a: needs itself: a → c → b → a"):
    Plan([Run("a", "x", needs=["c"]), Run("b", "x", needs=["a"]), Run("c", "x", needs=["b"]),
          Run("d", "x", needs=["a"])]).ordered()
  with pytest.raises(ConfigError, match="run a: needs itself: a → a"):
    Plan([Run("a", "x", needs=["a"])]).ids()
  with pytest.raises(ConfigError, match="run a: needs b, which is not in the plan"):
    Plan([Run("a", "x", {"k": Output("b")})]).ordered()
  with pytest.raises(ConfigError, match="run a: two different runs"):
    Plan([Run("a", "x"), Run("a", "x"), Run("a", "y")])
  with pytest.raises(ConfigError, match="run b.*one of a"):
    Plan([Run("a", "x")])["b"]
  with pytest.raises(ConfigError, match="no run of this name.*coco_10k_s0"):
    _study().select(["imagenet_*"])
  with pytest.raises(ConfigError, match="size=3k: no run has these tags.*size=1k"):
    _study().select(tags={"size": "3k"})
  for value in (float("nan"), object(), {1, 2}):
    with pytest.raises(ConfigError, match="run a: an override"):
      Plan([Run("a", "x", {"k": value})]).ids()


def test_long_chains_are_ordered_without_recursion():
  chain = Plan(Run(str(i), "x", needs=[str(i + 1)] if i < 4999 else []) for i in range(5000))
  assert [run.name for run in chain.ordered()] == [str(i) for i in reversed(range(5000))]
  assert len(set(chain.ids().values())) == 5000


def test_what_a_configuration_resolves_to_makes_the_id():
  told = {"a.py:x": {"steps": 5}, "b.py": {"steps": 5}, "c.py": {"steps": 6}}
  describe = lambda run: [told[run.config], run.overrides]
  runs = [Run(name, name) for name in told] + [
      Run("on c", "a.py:x", {"from": Output("c.py", "file")}),
      Run("on a", "a.py:x", {"from": Output("a.py:x", "file")})]
  ids = Plan(runs).described(describe).ids()
  assert ids["a.py:x"] == ids["b.py"] != ids["c.py"] and ids["on a"] != ids["on c"]
  told["c.py"] = told["b.py"]
  edited = Plan(runs, describe)
  assert edited.ids()["c.py"] == ids["a.py:x"] and edited.ids()["on c"] == ids["on a"]
  assert edited.select(["on c"]).ids() == {n: edited.ids()[n] for n in ("c.py", "on c")}


def test_plan_and_keeper_name_the_same_file_of_numbers():
  assert plan_lib.NUMBERS == keeper.NUMBERS
