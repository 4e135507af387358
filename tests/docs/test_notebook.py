"""The notebook is stored clean, and runs from a folder of pictures to a sentence that is true."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import stats

_NAME = "study_your_own_data.ipynb"
_SHORT = {"SEEDS": 2, "STEPS": 80}  # the whole way, not the whole time

# Runs the code cells in order, in one process, with settings of our own after the first of them.
_RUN = """
import json, sys
from matplotlib import pyplot as plt
path, settings, until, result = sys.argv[1:]
scope = {"__name__": "__main__"}
cells = [c for c in json.load(open(path))["cells"] if c["cell_type"] == "code"]
for cell in cells:
  exec(compile("".join(cell["source"]), cell["id"], "exec"), scope)
  if cell["id"] == "settings":
    scope.update(json.loads(settings))
  for number in plt.get_fignums():
    plt.figure(number).savefig(f"{result}.{cell['id']}.png")
    plt.close(number)
  if cell["id"] == until:
    break
else:
  line = scope["line"]
  scope |= {"gain": [line.gain.value, line.gain.low, line.gain.high]}
  first = list(scope["rows"])
  exec("".join(next(c for c in cells if c["id"] == "run")["source"]), scope)
  assert scope["rows"] == first
ids = {split: [p.picture_id for p in part] for split, part in scope["parts"].items()}
kept = ("rows", "sizes", "sentence", "gain", "metric", "several")
with open(result, "w") as file:
  json.dump({"ids": ids, "records": str(scope["records"]), "network": str(
      scope.get("network", "")), **{key: scope[key] for key in kept if key in scope}}, file)
"""


def run(root, folder, until="", timeout=900, **settings):
  """What the notebook found, run in the folder that it lies in."""
  result = folder / "found.json"
  environment = {**os.environ, "MPLBACKEND": "Agg", "TMPDIR": str(folder),
                 "TF_CPP_MIN_LOG_LEVEL": "3"}
  done = subprocess.run(
      [sys.executable, "-W", "ignore", "-c", _RUN, _NAME, json.dumps(settings), until,
       str(result)], cwd=root / "docs", env=environment, timeout=timeout, text=True,
      capture_output=True)
  assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"[-4000:]
  return json.loads(result.read_text()), done.stdout


@pytest.fixture(scope="module")
def notebook(root):
  return json.loads((root / "docs" / _NAME).read_text(encoding="utf-8"))


def test_it_is_format_4_without_outputs(notebook):
  assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
  assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
  ids = [cell["id"] for cell in notebook["cells"]]
  assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]{1,64}", id) for id in ids)
  for cell in notebook["cells"]:
    assert cell["metadata"] == {} and all(isinstance(line, str) for line in cell["source"])
    assert set(cell) == {"cell_type", "id", "metadata", "source"} | (
        {"execution_count", "outputs"} if cell["cell_type"] == "code" else set())
    if cell["cell_type"] == "code":
      assert cell["outputs"] == [] and cell["execution_count"] is None


def test_its_code_is_python_that_names_no_machine(notebook):
  code = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
  assert re.match(r'FOLDER = ""', code[0])
  for text in code:
    compile(text, "cell", "exec")
    assert not re.search(r"""^\s*[%!]|["'](/\w|~/|[A-Z]:\\)""", text, re.MULTILINE)


@pytest.mark.slow
def test_a_folder_of_pictures_becomes_a_curve(root, tmp_path):
  found, said = run(root, tmp_path, **_SHORT)
  rows = found["rows"]
  sizes = sorted({size for size, *_ in rows})
  seeds = sorted({seed for _, seed, _ in rows})
  assert sizes == found["sizes"] and len(sizes) == 4 and sizes[-1] / sizes[0] > 30
  assert len(seeds) == 2 and len(rows) == len(sizes) * len(seeds)
  assert sizes[-1] == len(found["ids"]["train"])
  assert not set(found["ids"]["train"]) & set(found["ids"]["held_out"])
  stored = [json.loads(path.read_text()) for path in tmp_path.glob("*/study/runs/*/numbers.json")]
  assert sorted(v for *_, v in rows) == sorted(s["classification/top1"] for s in stored)

  # The t-test on the slopes of the seeds, which all have every size.
  slopes = [np.polyfit(np.log10(sizes), [v for n in sizes for m, s, v in rows if (m, s) ==
                                         (n, seed)], 1)[0] for seed in seeds]
  half = stats.t.ppf(0.975, len(seeds) - 1) * np.std(slopes, ddof=1) / np.sqrt(len(seeds))
  gain = np.mean(slopes)
  assert np.isfinite(found["gain"]).all()
  np.testing.assert_allclose(found["gain"], [gain, gain - half, gain + half], atol=0.05 * half)
  number = r"([+−]?\d+\.\d+)"
  match = re.match(rf"(No gain can be told: )?{number} top-1 per 10× pictures, 95 % interval "
                   rf"{number} to {number}, two seeds", found["sentence"])
  value, low, high = (float(text.replace("−", "-")) / 100 for text in match.groups()[1:])
  np.testing.assert_allclose([value, low, high], [gain, gain - half, gain + half],
                             atol=0.0006 + 0.05 * half)
  assert (match[1] is None) == (low > 0)
  assert " ".join(found["sentence"].split()) in " ".join(said.split())
  assert (tmp_path / "found.json.curve.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_list_with_several_labels_of_own_pictures_becomes_subsets(root, tmp_path):
  rng = np.random.default_rng(0)
  (tmp_path / "mine").mkdir()
  lines = []
  for i in range(120):
    Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / f"mine/{i}.png")
    lines.append(f"{i}.png,cat:0.9" + (",dog" if i % 3 == 0 else ""))
  (tmp_path / "labels.csv").write_text("\n".join(lines))
  mine = {"FOLDER": str(tmp_path / "mine"), "LABELS": str(tmp_path / "labels.csv"),
          "WORK": str(tmp_path / "work")}
  found, said = run(root, tmp_path, until="plan", **mine)
  assert found["several"] and found["metric"] == "mAP"
  assert "120 pictures of 2 classes" in said and "12 runs" in said
  together = found["ids"]["train"] + found["ids"]["held_out"]
  assert sorted(together) == sorted(f"{i}.png" for i in range(120))
  assert found["sizes"][-1] == len(found["ids"]["train"])
  assert found["network"] == f"{root}/experiments/table1_imagenet.py:random,laptop"
  Image.new("RGB", (50, 40)).save(tmp_path / "mine/7.png")  # the same name and labels
  again, _ = run(root, tmp_path, until="plan", **mine)
  assert again["records"] != found["records"]
  assert run(root, tmp_path, until="plan", **mine)[0]["records"] == again["records"]
