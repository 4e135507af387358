"""The model of machine-hours: counts against the literature and the layers, and arithmetic."""

from __future__ import annotations

import pytest
import tensorflow as tf

from jft_reps.errors import ConfigError
from jft_reps.models import layers, resnet
from jft_reps.studies.cluster import machine_hours


@pytest.fixture
def counted(monkeypatch):
  """Multiply-adds of every convolution that is traced, by the size of what comes out of it."""
  counts = []
  plain = layers.Conv2D._convolved

  def counting(self, x, *args):
    y = plain(self, x, *args)
    kernel = self.kernel.shape
    assert y.shape[1:3].is_fully_defined()
    counts.append(int(y.shape[0] * y.shape[1] * y.shape[2]) * int(kernel.num_elements()))
    return y

  monkeypatch.setattr(layers.Conv2D, "_convolved", counting)
  return counts


def trace(function, *shape):
  tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32))


# Table 1 of He et al. 2015, which counts a multiply-add as one: 3.8, 7.6 and 11.3 billion at 224.
# Variables of the classifiers of 1,000 classes with trained batch-norm, as torchvision lists them.
@pytest.mark.parametrize("depth,billions,variables", [
    (50, 3.8, 25_557_032), (101, 7.6, 44_549_160), (152, 11.3, 60_192_808)])
def test_counts_are_those_of_the_literature(depth, billions, variables):
  work = machine_hours.classification(depth, 224, 224, 1000)
  assert work.forward == pytest.approx(billions * 1e9, rel=0.02)
  assert work.variables == work.trained_variables == variables
  assert work.multiply_adds == 3 * work.forward


@pytest.mark.parametrize("depth,height,width,output_stride", [
    (50, 299, 299, 32), (152, 600, 1024, 16), (26, 514, 514, 8), (50, 353, 257, 8),
    (14, 225, 75, 16)])
def test_stages_count_as_the_layers_do(counted, depth, height, width, output_stride):
  network = resnet.ResNet(depth=depth, output_stride=output_stride)
  trace(lambda x: network(x, batch_norm="frozen")["conv5"], 1, height, width, 3)
  stages = machine_hours.stages(depth, height, width, output_stride)
  # Space-to-batch computes rows that it cuts off; what is counted is what comes out.
  assert sum(counted) == sum(stage.forward for stage in stages.values())
  assert sum(v.shape.num_elements() for v in network.trainable_variables) == sum(
      stage.variables for stage in stages.values())


def test_a_detector_runs_conv5_on_every_box(counted):
  network = resnet.ResNet(depth=50, output_stride=16)
  trace(lambda x: network(x, batch_norm="frozen", stages=("conv4",))["conv4"], 1, 600, 1024, 3)
  trace(lambda x: network.run_stage("conv5", x, batch_norm="frozen", stride=1), 256, 7, 7, 1024)
  cells, dense = 38 * 64, 256 * 2048 * (81 + 4 * 80)
  heads = cells * (9 * 1024 * 512 + 512 * 6 * 12) + dense
  work = machine_hours.detection(50, 600, 1024, 80)
  assert work.forward == sum(counted) + heads
  frozen = machine_hours.detection(50, 600, 1024, 80, frozen_through="conv4")
  head_of_crops = sum(counted) - sum(
      s.forward for n, s in machine_hours.stages(50, 600, 1024, 16).items() if n != "conv5")
  assert frozen.forward == work.forward and frozen.trained == head_of_crops + heads


def test_heads_of_dense_tasks_stand_at_every_eighth_pixel():
  bare = sum(s.forward for s in machine_hours.stages(101, 514, 514, 8).values())
  found = machine_hours.segmentation(101, 514, 514, 21)
  assert found.forward - bare == 4 * 65 * 65 * 9 * 2048 * 21
  bare = sum(s.forward for s in machine_hours.stages(101, 353, 257, 8).values())
  found = machine_hours.pose(101, 353, 257, 17)
  assert found.forward - bare == 45 * 33 * 17 * (3 * 2048 + 1024)


def test_a_frozen_stage_is_read_and_sends_nothing():
  work = machine_hours.classification(50, 224, 224, 1000, "conv5")
  assert work.trained == 2048 * 1000 and work.trained_variables == 2049 * 1000
  assert work.multiply_adds == work.forward + 2 * 2048 * 1000 and work.variables == 25_557_032


def test_the_papers_own_run_takes_what_the_paper_says():
  work = machine_hours.classification(101, 299, 299, 18_291)
  hours = machine_hours.model(work, 32, 36_000_000, 50, 17)
  assert hours.step == pytest.approx(7.2) and hours.days == pytest.approx(60)
  assert hours.gpu_hours == pytest.approx(60 * 24 * 50)
  assert hours.server_hours == pytest.approx(60 * 24 * 17)
  # docs/scale.md: 320 MB in each direction for a push.
  assert hours.sent == hours.read == pytest.approx(36e6 * 320e6, rel=0.002)


def test_hours_do_not_depend_on_how_many_share_them():
  work = machine_hours.segmentation(101, 514, 514, 21)
  one, ten = (machine_hours.model(work, 6, 30_000, n, 2) for n in (1, 10))
  assert one.gpu_hours == ten.gpu_hours and one.days == pytest.approx(10 * ten.days)
  fast = machine_hours.model(work, 6, 30_000, 1, 2, rate=2 * machine_hours.paper_rate())
  assert fast.step == pytest.approx(one.step / 2)


def test_the_text_states_rate_share_of_the_peak_and_how_far_to_trust_it():
  rate = machine_hours.paper_rate()
  assert rate == pytest.approx(32 * 3 * 14.08e9 / 7.2, rel=0.001)
  said = machine_hours.text()
  assert "0.19T multiply-adds/s" in said and "4% of a K80 board" in said and "9% of one" in said
  assert "3.1 times this rate" in said and "factor of three" in said and said.count("\n") == 4
  assert "as given" in machine_hours.text(rate=1e12)


def test_an_unknown_depth_is_refused():
  with pytest.raises(ConfigError, match="machine-hours.*1001"):
    machine_hours.classification(1001, 299, 299, 1000)
