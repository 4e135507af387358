"""What more data would bring, from the runs of a study: `jft-reps forecast --study`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from jft_reps.errors import DataError, printable
from jft_reps.studies.forecast import scale
from jft_reps.studies.forecast.answers import Forecast
from jft_reps.studies.report import foretold, rows
from jft_reps.studies.running import archive
from jft_reps.workflows import forecasting
from jft_reps.workflows.study import reporting


def forecast(studies: Sequence[str], plan: str = "", at: Sequence[float] = (),
             target: float | None = None, cost_per_picture: float | None = None,
             hours_per_run: float | None = None, next: bool = False,
             output: str | os.PathLike[str] | None = None) -> list[Forecast]:
  """Forecasts each arm of the data-size pages of studies, done or half done.

  Args:
    studies: work directories and archives.
    plan: `<file>.py[:part,…]` with the pages, which is run; default: the one that the study names.
    at, target, cost_per_picture, hours_per_run, next, output: as `workflows.forecast` takes them;
      values are in the unit of the report, percent of fractions.

  Returns:
    A forecast per page and arm.

  Raises:
    DataError: there is no study, or no arm of it has three sizes.
    ConfigError: an argument is out of range; no such plan.
    StorageError: `output` cannot be written.
  """
  asked = forecasting.questions(at, target, cost_per_picture, hours_per_run, next)
  study = archive.opened(studies)
  reference = plan or reporting.named_plan(study.plan, studies)
  found: list[Forecast] = []
  without: list[str] = []
  for page in reporting.load_pages(reference, study.overrides):
    here, why = foretold.of_page(page, rows.rows(page, study.results)[0], **asked)
    found += [dataclasses.replace(one, name=f"{page.name}, {one.name}") for one in here]
    without += [f"{page.name}, {reason}" for reason in why]
  if not found:
    raise DataError("forecast-study", printable(studies[0]), " ".join(without[:3]) or
                    "no values against the number of pictures",
                    f"an arm with runs of {scale.LEAST_SIZES} sizes",
                    "Forecasts need a plan with more sizes, or more of its runs done.")
  if output is not None:
    forecasting.write(found, output)
  return found
