"""ILSVRC-2012 in the layouts people have: each gives the same pictures with the same classes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
import tensorflow as tf

from jft_reps import errors
from jft_reps.apps import build_records, command_line
from jft_reps.data.records import label_map, schema, writing
from jft_reps.data.sources.imagenet import ilsvrc, lists
from tests.data import picture_files as files

# Ids 1 to 4 of the devkit; sorted, the wnids come in another order.
_DEVKIT = ["n02119789", "n02100735", "n01440764", "n03000134"]
_SORTED = ["n01440764", "n02100735", "n02119789", "n03000134"]
_TRUTH = [3, 1, 4, 2, 3, 1]  # devkit ids of validation pictures 1 to 6
# Worked out by hand: 3 is n01440764, first of the sorted; 1 is n02119789, third; and so on.
_CLASSES = [0, 2, 3, 1, 0, 2]


def _name(i):
  return f"ILSVRC2012_val_{i + 1:08d}"


def _meta(path, leaves=_DEVKIT):
  """A `meta.mat` with the fields of the real one, whose inner synsets stand behind the leaves."""
  rows = [(i + 1, wnid, f"word{i}", "gloss", 0, np.zeros(0), 0, 1300)
          for i, wnid in enumerate(leaves)]
  rows.append((len(leaves) + 1, "n00001740", "entity", "gloss", 2, np.array([1, 2]), 1, 0))
  names = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children",
           "wordnet_height", "num_train_images"]
  synsets = np.array([tuple(np.array(x) if isinstance(x, int) else x for x in r) for r in rows],
                     dtype=[(n, object) for n in names])
  path.parent.mkdir(parents=True, exist_ok=True)
  scipy.io.savemat(path, {"synsets": synsets[:, np.newaxis]})


def _train(root):
  for i, wnid in enumerate(_DEVKIT):
    folder = root / "train" / wnid
    folder.mkdir(parents=True)
    for k in range(2):
      data = files.encoded(10 * i + k, form="PNG" if i == k == 0 else "JPEG",
                           mode="CMYK" if i == k == 1 else "RGB")
      (folder / f"{wnid}_{k}.JPEG").write_bytes(data)
  return root


def _flat(root, where="val"):
  (root / where).mkdir(parents=True)
  for i in range(len(_TRUTH)):
    (root / where / f"{_name(i)}.JPEG").write_bytes(files.encoded(100 + i))
  return root


def _devkit(root):
  _meta(root / "ILSVRC2012_devkit_t12/data/meta.mat")
  truth = root / "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
  truth.write_text("".join(f"{t}\n" for t in _TRUTH))
  return truth


def _kaggle(root):
  rows = [f"{_name(i)},{_DEVKIT[t - 1]} 1 2 30 40 {_DEVKIT[t - 1]} 5 6 7 8 \n"
          for i, t in enumerate(_TRUTH)]
  (root / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(rows[::-1]))
  return root / "LOC_val_solution.csv"


def _labels(part):
  return {s.picture_id: [part.labels.index(label) for label in s.labels] for s in part.read()}


def _folders(root):
  for i, t in enumerate(_TRUTH):
    folder = root / "val" / _DEVKIT[t - 1]
    folder.mkdir(exist_ok=True)
    (root / "val" / f"{_name(i)}.JPEG").rename(folder / f"{_name(i)}.JPEG")


@pytest.mark.parametrize("prepare", [_devkit, _kaggle, _folders])
@pytest.mark.parametrize("below", [".", "ILSVRC/Data/CLS-LOC"])
def test_every_layout_gives_the_same_classes_by_sorted_wnids(tmp_path, prepare, below):
  _flat(tmp_path / below)
  prepare(tmp_path / below if prepare is _folders else tmp_path)
  part = ilsvrc.open_part(tmp_path, "validation")
  assert part.labels == tuple(_SORTED)
  assert _labels(part) == {f"{_name(i)}.JPEG": [c] for i, c in enumerate(_CLASSES)}


def test_the_devkits_ids_are_not_the_order_of_classes(tmp_path):
  _meta(tmp_path / "meta.mat")
  wnids = lists.devkit_wnids(tmp_path / "meta.mat")
  assert wnids == dict(enumerate(_DEVKIT, 1))  # without the inner synset
  _flat(tmp_path)
  _devkit(tmp_path)
  found = [c for [c] in _labels(ilsvrc.open_part(tmp_path, "validation")).values()]
  assert found == _CLASSES and found != [t - 1 for t in _TRUTH]


def test_program_builds_both_parts_under_one_label_map(tmp_path):
  _train(_flat(tmp_path))
  _kaggle(tmp_path)
  for split in ("train", "validation"):
    argv = ["build_records", "--source=imagenet", f"--input={tmp_path}", f"--split={split}",
            f"--output={tmp_path / 'out'}", "--shards=2", "--processes=1"]
    assert command_line.run(build_records.main, argv) == 0
  stored = {}
  for split in ("train", "validation"):
    record_set = writing.load(tmp_path / "out", split, full=True)
    assert label_map.labels_of(record_set) == tuple(_SORTED)
    for record in tf.data.TFRecordDataset(record_set.paths).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature
      name = feature[schema.SOURCE_ID].bytes_list.value[0].decode()
      stored[name] = (list(feature[schema.LABEL].int64_list.value),
                      feature[schema.FORMAT].bytes_list.value[0])
  want = {f"{_name(i)}.JPEG": ([c], b"jpeg") for i, c in enumerate(_CLASSES)}
  want |= {f"{wnid}_{k}.JPEG": ([_SORTED.index(wnid)], b"jpeg")
           for wnid in _DEVKIT for k in range(2)}
  want[f"{_DEVKIT[0]}_0.JPEG"] = ([2], b"png")  # as n02105855_2933.JPEG of the real set
  assert stored == want


def test_classes_are_of_the_most_official_list(tmp_path):
  _train(tmp_path)
  assert ilsvrc.open_part(tmp_path, "train").labels == tuple(_SORTED)
  mapping = [*_DEVKIT, "n09999999"]
  (tmp_path / "LOC_synset_mapping.txt").write_text("".join(f"{w} a, b\n" for w in mapping))
  assert ilsvrc.open_part(tmp_path, "train").labels == tuple(sorted(mapping))
  _meta(tmp_path / "meta.mat", [*_DEVKIT, "n08888888"])
  assert ilsvrc.open_part(tmp_path, "train").labels == (*_SORTED, "n08888888")


@pytest.mark.parametrize("prepare, old, new, message", [
    (_devkit, "3\n1\n4\n2\n3\n1\n", "3\n1\n4\n", "truth.txt:3: .*without ILSVRC2012_val_00000004"
     r".*6 pictures in .*val and 3 classes"),
    (_devkit, "3\n1\n4", "3\n1\n5", "truth.txt:3: class '5'; expected an ILSVRC2012_ID from 1"),
    (_devkit, "3\n1\n4", "3\n\n4", "truth.txt:2: class ''"),
    (_devkit, "3\n1\n4", "3\n1\n-1", "truth.txt:3: class '-1'"),
    (_devkit, "2\n3\n1\n", "2\n3\n1\n2\n", "truth.txt:7: ILSVRC2012_val_00000007.JPEG is missing"),
    (_kaggle, "5,n01440764 1 2 30 40 n01440764 5 6 7 8", "5,n0144", "solution.csv:3: .*5,n0144"),
    (_kaggle, "0005,n01440764", "0005,x01440764", "solution.csv:3: class 'x01440764'"),
    (_kaggle, "0005,n01440764 1", "0005,n02119789 1", "solution.csv:3: .*n01440764, n02119789"),
    (_kaggle, "val_00000005", "val_00000006", "solution.csv:3: .*which is on line 2 already"),
    (_kaggle, "val_00000005", "val_00000009", "solution.csv:3: .*00000009.JPEG is missing"),
])
def test_lists_that_do_not_fit_name_file_and_line(tmp_path, prepare, old, new, message):
  _flat(tmp_path)
  listing = prepare(tmp_path)
  text = listing.read_text()
  assert old in text
  listing.write_text(text.replace(old, new))
  with pytest.raises(errors.DataError, match=message):
    ilsvrc.open_part(tmp_path, "validation")


def test_an_unknown_wnid_of_a_list_names_its_line(tmp_path, capsys):
  _train(_flat(tmp_path))
  listing = _kaggle(tmp_path)
  listing.write_text(listing.read_text().replace("n03000134", "n03000247"))
  argv = ["build_records", "--source=imagenet", f"--input={tmp_path}", "--split=validation",
          f"--output={tmp_path / 'out'}"]
  assert command_line.run(build_records.main, argv) == 2
  error = capsys.readouterr().err
  assert "LOC_val_solution.csv:5: label 'n03000247'" in error and "mean 'n03000134'" in error


def test_a_lost_picture_shifts_no_class(tmp_path):
  _flat(tmp_path)
  truth = _devkit(tmp_path)
  (tmp_path / "val" / f"{_name(0)}.JPEG").unlink()
  truth.write_text("".join(f"{t}\n" for t in _TRUTH[:-1]))  # as many lines as pictures
  with pytest.raises(errors.DataError, match="truth.txt:1: ILSVRC2012_val_00000001.JPEG is miss"):
    ilsvrc.open_part(tmp_path, "validation")


@pytest.mark.parametrize("write, message", [
    (lambda p: p.write_bytes(p.read_bytes()[:300]), "meta.mat: .*expected meta.mat of the ILSVRC"),
    (lambda p: p.write_bytes(b"text"), "meta.mat: .*expected meta.mat"),
    (lambda p: scipy.io.savemat(p, {"other": 1}), "meta.mat: 'synsets'"),
    (lambda p: scipy.io.savemat(p, {"synsets": {"WNID": "n01440764"}}), "meta.mat: .*num_children"),
    (lambda p: _meta(p, ["n01440764", "fish"]), "ILSVRC2012_ID 2: class 'fish'"),
    (lambda p: _meta(p, ["n01440764", "n01440764"]), "meta.mat: 2 classes with ids from 1 to 2"),
])
def test_broken_devkits(tmp_path, write, message):
  _flat(tmp_path)
  _devkit(tmp_path)
  write(tmp_path / "ILSVRC2012_devkit_t12/data/meta.mat")
  with pytest.raises(errors.DataError, match=message):
    ilsvrc.open_part(tmp_path, "validation")


def test_missing_parts_say_what_is_needed(tmp_path):
  with pytest.raises(errors.DataError, match="no train or ILSVRC2012_img_train"):
    ilsvrc.open_part(tmp_path, "train")
  with pytest.raises(errors.ConfigError, match="'test'; expected train or validation"):
    ilsvrc.open_part(tmp_path, "test")
  _flat(tmp_path)
  with pytest.raises(errors.DataError, match="no list of classes; expected LOC_val_solution.csv"):
    ilsvrc.open_part(tmp_path, "validation")
  _devkit(tmp_path).with_name("meta.mat").unlink()
  with pytest.raises(errors.DataError, match="ground_truth.txt without meta.mat"):
    ilsvrc.open_part(tmp_path, "validation")


def test_class_folders_without_pictures_or_of_other_names(tmp_path):
  _train(tmp_path)
  (tmp_path / "train" / "n04444444").mkdir()
  with pytest.raises(errors.DataError, match="train/n04444444: no picture in 1 class folders"):
    list(ilsvrc.open_part(tmp_path, "train").read())
  (tmp_path / "train" / "n04444444").rename(tmp_path / "train" / "fish")
  with pytest.raises(errors.DataError, match="train/fish: a folder that is no class"):
    ilsvrc.open_part(tmp_path, "train")
  (tmp_path / "train" / "fish").rmdir()
  (tmp_path / "away").mkdir()
  (tmp_path / "train" / "n04444444").symlink_to(tmp_path / "away")
  with pytest.raises(errors.DataError, match="leaves the folder"):
    ilsvrc.open_part(tmp_path, "train")


def test_real_photos_in_folders_of_their_wnids(tmp_path, shared_data):
  photos = sorted((shared_data / "multilabel/imagenet1000_256").glob("n*_*.jpg"))[:12]
  want = {}
  for photo in photos:
    wnid = photo.name.partition("_")[0]
    (tmp_path / "val" / wnid).mkdir(parents=True, exist_ok=True)
    (tmp_path / "val" / wnid / f"{photo.stem}.JPEG").write_bytes(photo.read_bytes())
    want[f"{photo.stem}.JPEG"] = [sorted({p.name[:9] for p in photos}).index(wnid)]
  assert _labels(ilsvrc.open_part(tmp_path, "validation")) == want
