"""What runs of a study leave to say what their numbers are."""

from __future__ import annotations

import json
import types

from jft_reps.studies.plan import Run
from jft_reps.tasks.evaluators.scores import TopKSet
from jft_reps.workflows import probing
from jft_reps.workflows.study import judges, kinds


def test_a_definition_stands_under_the_name_of_its_set(tmp_path):
  evaluator = TopKSet("single_test", lambda: None, ("a", "b"))
  judges.leave(tmp_path, judges.judged_by(evaluator, {"classification/top1": 0.5}, ()))
  found = json.loads((tmp_path / "definitions.json").read_text())
  assert list(found) == ["single_test"] and "top-1 and top-5: fraction" in found["single_test"]
  last = types.SimpleNamespace(definition="mAP", per_class={})
  judged = judges.judged_by(types.SimpleNamespace(name="fasteval", last=last), {}, ())
  judges.leave(tmp_path, judged)
  assert json.loads((tmp_path / "definitions.json").read_text()) == {"fasteval": "mAP"}


def test_a_probe_leaves_a_definition(tmp_path, monkeypatch):
  config = types.SimpleNamespace(task=types.SimpleNamespace(eval_splits=()))
  monkeypatch.setattr(kinds, "configured", lambda *_: (config, {"test": "single_test"}))
  monkeypatch.setattr(probing, "probe", lambda _, untrained: {
      "method": "ridge", "values": {"classification/top1": 0.5}, "few_shot": {}})
  numbers = kinds.probe(Run("p", "c.py", kind="probe"), tmp_path)
  assert numbers == {"classification/top1": 0.5}
  found = json.loads((tmp_path / "definitions.json").read_text())["single_test"]
  assert "single centre crop" in found and found.endswith("probe: ridge")
