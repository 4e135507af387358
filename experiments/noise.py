"""Not in the paper: how much do wrong labels cost? About 20 % of JFT's are wrong (section 3).

  python -m jft_reps.apps.study --plan=experiments/paper.py:noise,laptop --workdir=DIR

Pre-trainings on the same pictures, of whose labels none are made wrong, as many as in the paper,
and more; detection and mAP@100 tell them apart. A single one is `fig3_pretraining.py:random` with
`--config.task.noise.wrong=0.2`. There is none at full size, since JFT's labels are wrong as they
are; so are those of own pictures, of which more are made wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.study import arms
from experiments.study.tasks import TASKS
from jft_reps.studies.report.pages import Page

if TYPE_CHECKING:
  from experiments.study.names import Names
  from experiments.study.runs import Study


def runs(study: Study) -> None:
  """Detection from pre-training with each share of wrong labels."""
  for noise in study.config.noise:
    study.transfer("detect", study.noisy(noise=noise))


def pages(names: Names) -> list[Page]:
  """mAP@100 and detection over the shares, the smallest first; nothing where there is but one."""
  shares = names.config.noise
  levels = {names.noise(level): level for level in sorted(shares, key=shares.get)}
  if len(levels) < 2:
    return []
  shared = dict(pairs=tuple(zip(levels, [*levels][1:])),
                says="The paper has no such figure: about 20 % of JFT's labels are wrong.")
  return [
      Page("noise_fasteval", "mAP@100 after wrong labels", TASKS["pretrain"].headings,
           {name: {"task": "pretrain", **arms.NOISY, "noise": level}
            for name, level in levels.items()},
           deviations=names.world(noise=False), definitions=arms.LEAVES, **shared),
      Page("noise", "Detection after wrong labels", TASKS["detect"].headings,
           {name: {"task": "detect", **arms.TUNED, **arms.NOISY, "noise": level}
            for name, level in levels.items()},
           deviations=(*names.world(noise=False), *names.task("detect")), **shared)]
