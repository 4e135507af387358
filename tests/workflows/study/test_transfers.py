"""Which rate a transfer takes, and what it measures where."""

from __future__ import annotations

import json
import pathlib

import pytest

from jft_reps import errors
from jft_reps.studies import plan
from jft_reps.studies.running import run_files
from jft_reps.workflows.study import judges, kinds, plans, transfers


def resolved(name, directory):
  """A run of table 2 in miniature whose needs are in one directory."""
  whole = plans.read_plan("experiments/paper.py:table2_coco,miniature")[0]
  return plan.resolved(whole[name], lambda _: directory)


def test_the_rate_is_chosen_on_the_development_split(tmp_path, monkeypatch):
  """Made-up numbers: one rate diverges, the better of the others is tested once."""
  tried, judged = [], []
  values = {0.1: 0.3, 0.2: 0.5}

  def trained(config):
    tried.append(config.schedule.initial)
    pathlib.Path(config.workdir).mkdir()
    if config.schedule.initial == 0.4:
      raise errors.NumericError("not-finite", "here", "nan", "a number")

  def judge(trials, rate, split):
    judged.append((rate, split))
    value = values[rate] - 0.1 * (split == "test")
    return judges.Judged({"coco/pictures": 9.0, "coco/AP50": value}, {"AP": {"cat": 1.0}},
                         "a definition")

  from jft_reps.workflows import training
  monkeypatch.setattr(training, "train", trained)
  monkeypatch.setattr(transfers.Trials, "judge", judge)
  run = resolved("detect_random_s0", tmp_path)
  overrides = {**run.overrides, "study.rates": [0.1, 0.2, 0.4]}
  run = plan.Run(run.name, run.config, overrides, kind=run.kind)
  numbers = kinds.make(run, tmp_path)
  assert tried == [0.1, 0.2, 0.4]
  assert judged == [(0.1, "dev"), (0.2, "dev"), (0.2, "test")]
  assert numbers["coco/AP50"] == pytest.approx(0.4) and numbers["rate"] == 0.2
  assert numbers["dev coco/AP50"] == 0.5 and numbers["dev coco/AP50 at rate 0.4"] is None
  assert json.loads((tmp_path / "classes.json").read_text()) == {"AP": {"cat": 1.0}}
  assert sorted(p.name for p in tmp_path.glob("run_*")) == ["run_0.2"]
  tried.clear()
  kinds.make(run, tmp_path)  # a kill before the test: no rate is trained again
  assert tried == []
  nameless = plan.Run(run.name, run.config, {**overrides, "study.number": "coco/AP5"},
                      kind=run.kind)
  with pytest.raises(errors.ConfigError, match="coco/AP5'.*coco/pictures, coco/AP50"):
    kinds.make(nameless, tmp_path)
  monkeypatch.setattr(transfers.Trials, "dev", lambda *_: {})
  with pytest.raises(errors.DataError, match="diverged"):
    kinds.make(run, tmp_path)


@pytest.mark.parametrize("more, tried, chosen", [
    (0, (0.1, 0.2), 0.1), (1, (0.1, 0.2, 0.05), 0.05), (2, (0.1, 0.2, 0.05, 0.025), 0.05)])
def test_where_the_best_rate_is_at_the_edge_more_are_tried(
    tmp_path, monkeypatch, more, tried, chosen):
  values, seen = {0.025: 0.1, 0.05: 0.5, 0.1: 0.4, 0.2: 0.3}, []

  def judge(trials, rate, split):
    return judges.Judged({"coco/AP50": values[rate]}, {}, "")

  from jft_reps.workflows import training
  monkeypatch.setattr(training, "train", lambda config: seen.append(config.schedule.initial))
  monkeypatch.setattr(transfers.Trials, "judge", judge)
  run = resolved("detect_random_s0", tmp_path)
  overrides = {**run.overrides, "study.rates": [0.1, 0.2], "study.more_rates": more}
  numbers = kinds.make(plan.Run(run.name, run.config, overrides, kind=run.kind), tmp_path)
  assert tuple(seen) == tried and numbers["rate"] == chosen
  assert {name for name in numbers if " at rate " in name} == {
      f"dev coco/AP50 at rate {rate:g}" for rate in tried}


def test_other_seeds_take_the_rate_of_the_first(tmp_path, monkeypatch):
  rates, judged = [], []
  from jft_reps.workflows import training
  monkeypatch.setattr(training, "train", lambda config: rates.append(config.schedule.initial))
  monkeypatch.setattr(transfers.Trials, "judge", lambda trials, *args: (
      judged.append(args) or judges.Judged({"coco/AP50": 0.5}, {}, "")))
  run_files.write_numbers(tmp_path, {"coco/AP50": 0.3, "rate": 0.02})
  run = resolved("detect_random_s3", tmp_path)
  numbers = kinds.make(run, tmp_path)
  assert rates == [0.02] and judged == [(0.02, "test")]
  assert numbers == {"coco/AP50": 0.5, "rate": 0.02}


@pytest.mark.parametrize("finite, taken", [(0.02, 0.02), (0.01, 0.01), (0.001, None)])
def test_a_seed_at_which_the_rate_of_the_first_diverges_takes_the_next_lower(
    tmp_path, monkeypatch, finite, taken):
  seen = []

  def trained(config):
    seen.append(config.schedule.initial)
    if seen[-1] > finite:
      raise errors.NumericError("not-finite", "here", "nan", "a number")

  from jft_reps.workflows import training
  monkeypatch.setattr(training, "train", trained)
  monkeypatch.setattr(transfers.Trials, "judge", lambda trials, rate, split: (
      judges.Judged({"coco/AP50": rate}, {}, "")))
  run_files.write_numbers(tmp_path, {"rate": 0.05, **{
      f"dev coco/AP50 at rate {rate:g}": None for rate in (0.12, 0.05, 0.02, 0.01)}})
  run = resolved("detect_random_s3", tmp_path)
  if taken is None:
    with pytest.raises(errors.NumericError):
      kinds.make(run, tmp_path)
  else:
    assert kinds.make(run, tmp_path) == {"coco/AP50": taken, "rate": taken}
  assert seen == [rate for rate in (0.05, 0.02, 0.01) if taken is None or rate >= taken]
