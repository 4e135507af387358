"""The forecast of a study is that of the numbers its report prints."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from jft_reps.errors import ConfigError, DataError
from jft_reps.studies import forecast
from jft_reps.workflows.study import forecasting


def test_an_archive_is_foretold_as_its_published_numbers(root, tmp_path):
  results = root / "experiments" / "results"
  found = {one.name: one for one in forecasting.forecast([str(results / "miniature")],
                                                         target=40, output=tmp_path)}
  with open(results / "fig6_data_size.csv", encoding="utf-8", newline="") as file:
    rows = [(float(row["pictures"]), float(row["mIOU"])) for row in csv.DictReader(file)]
  sizes, values = np.array(rows).T
  expected = np.array(forecast.fit(sizes, values, higher_is_better=True).at(10 * sizes.max()))
  far = found["fig6_data_size, fine-tuned"].predictions[2]
  assert (far.value, far.low, far.high) == pytest.approx(tuple(100 * expected.ravel()), rel=1e-4)
  assert all(one.target and one.back_test for one in found.values())
  assert "fig6_data_size, fine-tuned" in (tmp_path / "forecast.html").read_text()


def test_what_has_no_sizes_says_so(root, tmp_path):
  with pytest.raises(DataError):
    forecasting.forecast([str(tmp_path)])
  with pytest.raises(ConfigError, match="--at=-1"):
    forecasting.forecast([str(root / "experiments" / "results" / "miniature")], at=[-1])
