"""An exported classifier answers by itself what the classifier answers here."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import ConfigError, StorageError
from jft_reps.models import batch_norm, classifier, resnet, saved_model, variables
from jft_reps.ops.images import CenterCrop
from tests.data.picture_files import encoded, jpeg_of_claimed_size

LABELS = ("n01", "dog", "größe", "n/04", "five", "six", "seven")
RESIZE, CROP = 40, 32
ABOUT = {"preprocessing": {"resize": RESIZE, "crop": CROP}, "source": {"step": 7}}
PICTURES = (encoded(1, 24, 60), encoded(2, 40, 40), encoded(3, 90, 31, form="PNG"),
            encoded(4, 33, 47, mode="L"), encoded(5, 24, 24, mode="RGBA", form="PNG"))


def random_classifier(seed: int = 0) -> classifier.Classifier:
  """Offsets, scales and the last layer are random; the statistics are those of random pictures."""
  tf.random.set_seed(seed)
  network = resnet.ResNet(26, width=0.125, stem="small")
  model = classifier.Classifier(network, len(LABELS), shards=3)
  random = np.random.default_rng(seed)
  for name, item in variables.named_variables(model).items():
    if name.endswith(("gamma", "beta")):
      item.assign_add(random.normal(0, 0.2, item.shape))
  for part in (*model.head.kernel.parts, *model.head.bias.parts):
    part.assign(random.normal(0, 0.2, part.shape))
  batch = tf.constant(random.integers(0, 256, (8, CROP, CROP, 3)), tf.uint8)
  batch_norm.recalibrate(lambda x: model(x, batch_norm="recalibrate"), [batch], 1)
  return model


def served(model, probabilities=tf.sigmoid, labels=LABELS, top=5):
  return saved_model.ServedClassifier(model, RESIZE, CROP, labels, probabilities, top)


@pytest.fixture(scope="module")
def model():
  return random_classifier()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> pathlib.Path:
  return saved_model.write(tmp_path_factory.mktemp("export") / "a" / "model", served(model), ABOUT)


@pytest.fixture(scope="module")
def signatures(folder):
  return tf.saved_model.load(str(folder)).signatures


def frozen(model):
  """Logits of a batch, in a graph as evaluation has it."""
  return tf.function(lambda images: model(images, batch_norm="frozen"))


def cropped(pictures) -> tf.Tensor:
  """The pictures as evaluation feeds them to the model."""
  return tf.stack([CenterCrop(RESIZE, CROP)(tf.constant(p)) for p in pictures])


@pytest.mark.parametrize("chosen", [slice(0, 1), slice(2, 3), slice(None)])
def test_pictures_of_any_size_and_form_get_the_logits_of_the_model(model, signatures, chosen):
  found = signatures["serving_default"](image_bytes=tf.constant(PICTURES[chosen]))["logits"]
  wanted = frozen(model)(cropped(PICTURES[chosen]))
  assert np.ptp(wanted) > 0.5
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_photos_as_they_are_get_the_logits_of_the_model(model, signatures, shared_data):
  files = sorted((shared_data / "multilabel" / "imagenet1000_256").glob("*.jpg"))[::40]
  photos = [file.read_bytes() for file in files]
  assert len(photos) > 8
  found = signatures["serving_default"](image_bytes=tf.constant(photos))["logits"]
  np.testing.assert_allclose(found, frozen(model)(cropped(photos)), atol=1e-5)


def test_cropped_pictures_and_features_too(model, signatures):
  images = cropped(PICTURES)
  np.testing.assert_allclose(signatures["images"](images=images)["logits"],
                             frozen(model)(images), atol=1e-5)
  np.testing.assert_allclose(
      signatures["embed"](image_bytes=tf.constant(PICTURES))["features"],
      tf.function(model.embed)(images), atol=1e-5)
  larger = tf.constant(np.random.default_rng(0).integers(0, 256, (2, 48, 36, 3)), tf.uint8)
  np.testing.assert_allclose(signatures["images"](images=larger)["logits"],
                             frozen(model)(larger), atol=1e-5)


def test_the_likeliest_labels_come_first_with_their_probabilities(signatures):
  answer = signatures["serving_default"](image_bytes=tf.constant(PICTURES))
  logits = answer["logits"].numpy().astype(np.float64)
  order = np.argsort(-logits, axis=1, kind="stable")[:, :5]
  assert [[x.decode() for x in row] for row in answer["labels"].numpy()] == [
      [LABELS[c] for c in row] for row in order]
  np.testing.assert_allclose(
      answer["scores"], 1 / (1 + np.exp(-np.take_along_axis(logits, order, 1))), rtol=1e-5)


def test_a_softmax_over_all_classes_though_fewer_are_given(model):
  answer = served(model, tf.nn.softmax, top=2).signatures()["serving_default"](
      tf.constant(PICTURES[:2]))
  exponentials = np.exp(answer["logits"].numpy().astype(np.float64))
  shares = np.sort(exponentials / exponentials.sum(1, keepdims=True), axis=1)
  np.testing.assert_allclose(answer["scores"], shares[:, :-3:-1], rtol=1e-5)


def test_saturated_scores_keep_the_order_of_the_logits(model):
  high = random_classifier()
  for kernel in high.head.kernel.parts:
    kernel.assign(tf.zeros_like(kernel))
  for i, bias in enumerate(high.head.bias.parts):
    bias.assign(tf.range(bias.shape[0], dtype=tf.float32) + 100.0 * (i + 1))
  answer = served(high, top=99).signatures()["serving_default"](tf.constant(PICTURES[:1]))
  assert [x.decode() for x in answer["labels"].numpy()[0]] == list(LABELS[::-1])
  np.testing.assert_array_equal(answer["scores"], 1.0)


@pytest.mark.parametrize("bad", [
    PICTURES[1][:-30], PICTURES[2][:-30], b"", b"no picture", b"GIF89a" + bytes(30),
    encoded(1, 24, 24, form="GIF"), encoded(1, 24, 24, form="BMP"), encoded(1, 6, 24),
    encoded(1, 8, 200), jpeg_of_claimed_size(60_000, 60_000)])
def test_a_picture_that_evaluation_leaves_out_fails_the_call(signatures, bad):
  for signature in ("serving_default", "embed"):
    with pytest.raises(tf.errors.InvalidArgumentError):
      signatures[signature](image_bytes=tf.constant([PICTURES[0], bad]))


_BARE = """
import json, sys
for name in ("jft_reps", "tf_keras", "keras", "official"):
  sys.modules[name] = None
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
answer = model.signatures["serving_default"](image_bytes=tf.constant(
    [open(path, "rb").read() for path in sys.argv[2:]]))
print(json.dumps({
    "logits": answer["logits"].numpy().tolist(),
    "best": [row[0].decode() for row in answer["labels"].numpy()],
    "labels": open(model.assets["labels"].asset_path.numpy()).read().splitlines(),
    "source": json.load(open(model.assets["source"].asset_path.numpy()))}))
"""


def test_tensorflow_alone_loads_and_runs_it_where_it_was_moved_to(model, tmp_path):
  before = saved_model.write(tmp_path / "here", served(model), ABOUT)
  moved = before.rename(tmp_path / "there")
  paths = []
  for i, picture in enumerate(PICTURES):
    paths.append(tmp_path / str(i))
    paths[-1].write_bytes(picture)
  found = subprocess.run(
      [sys.executable, "-I", "-c", _BARE, moved, *paths], cwd=tmp_path, capture_output=True,
      text=True, timeout=120, env={**os.environ, "PYTHONUTF8": "1"})
  assert found.returncode == 0, found.stderr[-2000:]
  answer = json.loads(found.stdout)
  wanted = frozen(model)(cropped(PICTURES)).numpy()
  np.testing.assert_allclose(answer["logits"], wanted, atol=1e-5)
  assert answer["best"] == [LABELS[c] for c in wanted.argmax(1)]
  assert answer["labels"] == list(LABELS)
  assert answer["source"] == ABOUT["source"]


def test_the_weights_inside_are_whole_float32_and_nothing_else(model, folder):
  stored = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
  found = {name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): stored.get_tensor(name)
           for name in stored.get_variable_to_shape_map() if name.endswith("VARIABLE_VALUE")}
  assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
  np.testing.assert_array_equal(
      found.pop("kernel"), np.concatenate([k.numpy() for k in model.head.kernel.parts], 1))
  np.testing.assert_array_equal(
      found.pop("bias"), np.concatenate([b.numpy() for b in model.head.bias.parts]))
  ours = variables.named_variables(model.backbone)
  assert {name.removeprefix("backbone/").replace(".S", "/") for name in found} == set(ours)
  assert {f.name for f in (folder / "assets").iterdir()} == {
      "labels.txt", "preprocessing.json", "source.json"}
  assert json.loads((folder / "assets" / "preprocessing.json").read_text()) == ABOUT[
      "preprocessing"]


def test_the_graph_neither_trains_nor_normalises_by_the_batch(signatures):
  for signature in signatures.values():
    graph = signature.graph.as_graph_def()
    ops = {node.op for part in (graph, *graph.library.function)
           for node in getattr(part, "node", None) or part.node_def}
    assert "Conv2D" in ops
    assert not [op for op in ops if "Assign" in op or "Grad" in op or "Apply" in op
                or "PyFunc" in op or "SquaredDifference" in op], ops


def test_what_is_there_is_kept_unless_a_saved_model_may_go(model, tmp_path):
  place = tmp_path / "model"
  place.mkdir()
  saved_model.write(place, served(model), {})  # empty
  first = (place / "variables" / "variables.data-00000-of-00001").read_bytes()
  with pytest.raises(StorageError, match=r"output-exists.*model: a SavedModel.*--overwrite"):
    saved_model.write(place, served(random_classifier(1)), {})
  assert (place / "variables" / "variables.data-00000-of-00001").read_bytes() == first
  saved_model.write(place, served(random_classifier(1)), {}, overwrite=True)
  assert (place / "variables" / "variables.data-00000-of-00001").read_bytes() != first
  other, file = tmp_path / "run", tmp_path / "file"
  other.mkdir()
  (other / "ckpt-1.ok").write_text("mine")
  file.write_text("mine")
  for taken in (other, file):
    with pytest.raises(StorageError, match="Only a SavedModel can be overwritten"):
      saved_model.write(taken, served(model), {}, overwrite=True)
  assert (other / "ckpt-1.ok").read_text() == file.read_text() == "mine"
  assert {p.name for p in tmp_path.iterdir()} == {"model", "run", "file"}


def test_a_failed_export_leaves_the_older_one_and_nothing_else(model, tmp_path, monkeypatch):
  place = saved_model.write(tmp_path / "model", served(model), {})
  def full(*unused):
    raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")
  monkeypatch.setattr(tf.saved_model, "save", full)
  with pytest.raises(StorageError, match="export-not-written.*No space left"):
    saved_model.write(place, served(model), {}, overwrite=True)
  assert (place / "saved_model.pb").is_file()
  assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_another_number_of_labels_or_no_label_to_give_is_refused(model):
  with pytest.raises(ConfigError, match="export-labels.*6 labels; expected 7"):
    served(model, labels=LABELS[1:])
  with pytest.raises(ConfigError, match="export-top.*0; expected at least 1"):
    served(model, top=0)
