"""What an evaluation lost is said, stands beside its numbers, and fails it beyond a share."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import DataError
from jft_reps.training.evaluation import monitor
from tests.training.tiny_task import TinyEvaluator, TinyTask


class Lossy(TinyEvaluator):
  """Twenty pictures; `lost[i]` is the row of `dropped` that comes with the i-th."""

  def __init__(self, lost=((0, 0),)):
    super().__init__(TinyTask())
    rows = np.zeros((20, 2), np.int64)
    rows[:len(lost)] = lost
    self._rows = tf.data.Dataset.from_tensor_slices(rows).batch(4)

  def dataset(self):
    return tf.data.Dataset.zip((super().dataset(), self._rows)).map(
        lambda batch, dropped: {**batch, "dropped": dropped})


def judged(evaluator, exclude_ids=(), reasons=("parse_error", "decode_error"), task=None):
  said, task = [], task or TinyTask()
  task.reasons = reasons
  values = monitor.judge(evaluator, task.build(), exclude_ids, task=task, say=said.append)
  return values, said


def test_what_was_left_out_is_said_by_reason_and_counted_beside_the_numbers():
  values, said = judged(Lossy([(1, 0), (0, 2), (0, 1)]))
  assert said == ["tiny: left out 4 of 24 records: parse_error 1, decode_error 3"]
  assert values["data/dropped"] == 4.0 and "score" in values


def test_nothing_left_out_is_a_zero_and_no_word():
  assert judged(Lossy())[0]["data/dropped"] == 0.0
  assert judged(Lossy())[1] == []


def test_a_task_that_counts_nothing_has_no_such_number():
  values, said = judged(TinyEvaluator(TinyTask()))
  assert set(values) == {"score"} and not said


@pytest.mark.parametrize("pictures,lost,fails", [
    (20, 20, False), (20, 21, True), (20, 79, True),  # of fewer than 100 records
    (99, 1, False), (98, 2, True), (198, 2, False), (197, 3, True)])
def test_one_percent_may_be_lost_or_half_of_a_small_set(pictures, lost, fails):
  class Many(Lossy):
    def dataset(self):
      rows = tf.data.Dataset.from_tensors(
          {"id": [str(i) for i in range(pictures)], "x": tf.zeros([pictures, 6]),
           "targets": tf.zeros([pictures, 7], tf.uint8),
           "dropped": tf.constant([[0, 0]] * (pictures - 1) + [[lost, 0]], tf.int64)})
      return rows

  if not fails:
    assert judged(Many())[0]["data/dropped"] == lost
    return
  with pytest.raises(DataError, match=(
      f"too-many-bad-records.*evaluation set tiny: left out {lost} of {pictures + lost} records "
      rf"\(parse_error {lost}\); expected at most 1% \(50% of fewer than 100\)")):
    judged(Many())


def test_the_ids_to_leave_out_are_counted_and_a_list_of_another_set_is_warned_of():
  values, said = judged(TinyEvaluator(TinyTask()), ["3", "4", "4", "elsewhere"])
  assert said == ["tiny: 2 of the 3 ids to leave out are in this set"]
  evaluator = TinyEvaluator(TinyTask())
  other, said = judged(evaluator, ["elsewhere"])
  assert other["score (clean)"] == other["score"]
  (line,) = said
  assert line.startswith("tiny: WARNING: 0 of the 1 ids to leave out are in this set: ")


def test_a_set_that_is_left_out_whole_has_no_clean_numbers_and_says_why():
  values, said = judged(TinyEvaluator(TinyTask()), [str(i) for i in range(1, 21)])
  assert set(values) == {"score"}
  assert said[1] == "tiny: WARNING: all pictures are left out, so there are no clean numbers"


class Broken(TinyEvaluator):
  def __init__(self, error):
    super().__init__(TinyTask())
    self._error = error

  def dataset(self):
    raise self._error
    yield


def test_an_error_of_the_input_is_put_to_the_task_with_the_split():
  asked = []

  class Explaining(TinyTask):
    def explain(self, error, split=None):
      asked.append(split)
      return DataError("explained", split, "a damaged file")

  with pytest.raises(DataError, match="explained"):
    judged(Broken(tf.errors.DataLossError(None, None, "corrupted at 7")), task=Explaining())
  assert asked == ["tiny"]
  with pytest.raises(DataError, match="input.*evaluation set tiny: corrupted at 7"):
    judged(Broken(tf.errors.DataLossError(None, None, "corrupted at 7")))
  with pytest.raises(tf.errors.InternalError):
    judged(Broken(tf.errors.InternalError(None, None, "a bug")), task=Explaining())


def test_the_first_eight_pictures_are_drawn_however_small_the_batches():
  drawn = []
  monitor.judge(TinyEvaluator(TinyTask()), TinyTask().build(),
                draw=lambda batch: drawn.append(batch["id"].numpy().tolist()))
  first = [b["id"].numpy().tolist() for b in TinyEvaluator(TinyTask()).dataset().take(2)]
  assert drawn == first and sum(map(len, drawn)) == 8
