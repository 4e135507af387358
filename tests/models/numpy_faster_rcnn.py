"""Faster R-CNN of Huang et al. 2017 written down in NumPy, float64, with nothing of ours.

Transcribed from what `grid_anchor_generator`, `faster_rcnn_box_coder`, `argmax_matcher`,
`target_assigner`, `post_processing` and `faster_rcnn_meta_arch` of the TensorFlow Object Detection
API compute, in loops where loops are plainer. Two rules are not theirs: an object that no anchor
touches forces none, and crowds are neither objects nor background. Boxes are pixels, yxyx.
"""

from __future__ import annotations

import numpy as np

SCALE_FACTORS = np.array([10.0, 10.0, 5.0, 5.0])
BACKGROUND, IGNORED = -1, -2


def grid_anchors(rows, columns, stride=16, base=256.0, scales=(0.25, 0.5, 1.0, 2.0),
                 aspects=(0.5, 1.0, 2.0)):
  """Offset 0; per cell the scales of the first aspect, then those of the next."""
  found = []
  for i in range(rows):
    for j in range(columns):
      for aspect in aspects:
        for scale in scales:
          height, width = scale / np.sqrt(aspect) * base, scale * np.sqrt(aspect) * base
          y, x = i * stride, j * stride
          found.append([y - height / 2, x - width / 2, y + height / 2, x + width / 2])
  return np.array(found).reshape(-1, 4)


def area(box):
  return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def common(a, b):
  return area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])


def pairs(function, a, b):
  return np.array([[function(x, y) for y in b] for x in a], np.float64).reshape(len(a), len(b))


def iou(a, b):
  def one(x, y):
    union = area(x) + area(y) - common(x, y)
    return common(x, y) / union if union > 0 else 0.0
  return pairs(one, np.asarray(a, np.float64), np.asarray(b, np.float64))


def covered(a, b):
  one = lambda x, y: common(x, y) / area(x) if area(x) > 0 else 0.0
  return pairs(one, np.asarray(a, np.float64), np.asarray(b, np.float64))


def clip(boxes, height, width):
  return np.clip(boxes, 0.0, np.array([height, width, height, width], np.float64))


def inside(boxes, height, width):
  """`prune_outside_window`: what touches the border stays."""
  return ((boxes[:, 0] >= 0) & (boxes[:, 1] >= 0) & (boxes[:, 2] <= height)
          & (boxes[:, 3] <= width))


def _centres(boxes):
  boxes = np.asarray(boxes, np.float64)
  height, width = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
  return boxes[..., 0] + height / 2, boxes[..., 1] + width / 2, height, width


def encode(boxes, anchors):
  (y, x, h, w), (ya, xa, ha, wa) = _centres(boxes), _centres(anchors)
  ha, wa, h, w = ha + 1e-8, wa + 1e-8, h + 1e-8, w + 1e-8
  codes = np.stack([(y - ya) / ha, (x - xa) / wa, np.log(h / ha), np.log(w / wa)], -1)
  return codes * SCALE_FACTORS


def decode(codes, anchors):
  ya, xa, ha, wa = _centres(anchors)
  ty, tx, th, tw = np.moveaxis(np.asarray(codes, np.float64) / SCALE_FACTORS, -1, 0)
  h, w, y, x = np.exp(th) * ha, np.exp(tw) * wa, ty * ha + ya, tx * wa + xa
  return np.stack([y - h / 2, x - w / 2, y + h / 2, x + w / 2], -1)


def argmax_match(overlaps, matched, unmatched, force=False):
  """Of overlaps `[boxes, objects]`; ties go to the lower index, as argmax has it."""
  found = np.full(len(overlaps), BACKGROUND)
  for i, row in enumerate(overlaps):
    if len(row) and row.max() >= matched:
      found[i] = int(np.argmax(row))
    elif len(row) and row.max() >= unmatched:
      found[i] = IGNORED
  if force and len(overlaps):
    for j in reversed(range(overlaps.shape[1])):  # the first of several objects wins
      if overlaps[:, j].max() > 0:
        found[int(np.argmax(overlaps[:, j]))] = j
  return found


def assign(boxes, objects, crowd, matched, unmatched, force=False):
  """`argmax_match` with the objects that are no crowds; what lies half in a crowd is ignored."""
  overlaps = iou(boxes, objects)
  overlaps[:, crowd] = 0.0
  found = argmax_match(overlaps, matched, unmatched, force)
  hidden = covered(boxes, np.asarray(objects)[crowd])
  for i in range(len(boxes)):
    if found[i] == BACKGROUND and hidden.shape[1] and hidden[i].max() >= 0.5:
      found[i] = IGNORED
  return found


def nms(boxes, scores, threshold, count):
  """Indices, best first; a box goes where one kept before it overlaps it by more."""
  kept = []
  for i in np.argsort(-scores, kind="stable"):
    if len(kept) < count and all(iou([boxes[i]], [boxes[j]])[0, 0] <= threshold for j in kept):
      kept.append(int(i))
  return np.array(kept, np.int64)


def softmax(logits):
  e = np.exp(np.asarray(logits, np.float64) - np.max(logits, -1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def smooth_l1(difference):
  d = np.abs(difference)
  return np.where(d < 1, 0.5 * d * d, d - 0.5).sum(-1)


def cross_entropy(logits, labels):
  return np.array([-np.log(softmax(row)[label]) for row, label in zip(logits, labels)])


def proposals(logits, codes, anchors, height, width, threshold=0.7, count=300):
  """Decode, clip, drop empty, suppress; indices of the anchors they came from beside."""
  boxes = clip(decode(codes, anchors), height, width)
  kept = np.flatnonzero([area(box) > 0 for box in boxes])
  scores = softmax(logits)[:, 1]
  best = nms(boxes[kept], scores[kept], threshold, count) if len(kept) else []
  return boxes[kept][best], kept[best]


def rpn_losses(logits, codes, anchors, objects, crowd, sample):
  """Unweighted; `sample(positive, negative)` gives the indices of both."""
  found = assign(anchors, objects, crowd, 0.7, 0.3, force=True)
  positive, negative = sample(found >= 0, found == BACKGROUND)
  count = max(len(positive) + len(negative), 1)
  chosen = np.concatenate([positive, negative]).astype(int)
  labels = (found[chosen] >= 0).astype(int)
  objectness = cross_entropy(logits[chosen], labels).sum() / count
  box = sum(smooth_l1(codes[i] - encode(objects[found[i]], anchors[i])) for i in positive) / count
  return {"rpn_objectness": objectness, "rpn_box": box}


def head_losses(logits, codes, boxes, found, objects, classes):
  """Unweighted, of sampled boxes and the object (or `BACKGROUND`) of each."""
  count = max(len(boxes), 1)
  labels = [classes[j] + 1 if j >= 0 else 0 for j in found]
  box = sum(smooth_l1(codes[i, classes[j]] - encode(objects[j], boxes[i]))
            for i, j in enumerate(found) if j >= 0)
  return {"head_class": cross_entropy(logits, labels).sum() / count, "head_box": box / count}


def crop_and_pool(features, boxes, height, width, size=14):
  """`crop_and_resize` of `[rows, columns, channels]` to size x size, and 2x2 max pooling.

  y of the picture lies at y / height * (rows - 1); samples reach from edge to edge; what lies
  outside of the map is 0.
  """
  rows, columns, channels = features.shape
  crops = np.zeros([len(boxes), size, size, channels])
  for n, (ymin, xmin, ymax, xmax) in enumerate(np.asarray(boxes, np.float64)):
    for i in range(size):
      for j in range(size):
        y = (ymin + (ymax - ymin) * i / (size - 1)) / height * (rows - 1)
        x = (xmin + (xmax - xmin) * j / (size - 1)) / width * (columns - 1)
        if max(-y, -x, y - (rows - 1), x - (columns - 1)) > 1e-6:
          continue
        y, x = np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)  # what rounding moved off it
        top, left = int(np.floor(y)), int(np.floor(x))
        low, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        dy, dx = y - top, x - left
        crops[n, i, j] = (
            (features[top, left] * (1 - dx) + features[top, right] * dx) * (1 - dy)
            + (features[low, left] * (1 - dx) + features[low, right] * dx) * dy)
  return crops.reshape(len(boxes), size // 2, 2, size // 2, 2, channels).max((2, 4))


def convolve(x, kernel, bias, rate=1):
  """3x3 or 1x1 on `[rows, columns, in]`, zeros around, taps `rate` apart."""
  reach = kernel.shape[0] // 2
  padded = np.pad(x.astype(np.float64), [(reach * rate,) * 2, (reach * rate,) * 2, (0, 0)])
  y = np.zeros([*x.shape[:2], kernel.shape[3]]) + bias
  for i in range(kernel.shape[0]):
    for j in range(kernel.shape[1]):
      shifted = padded[i * rate:i * rate + x.shape[0], j * rate:j * rate + x.shape[1]]
      y += shifted @ kernel[i, j].astype(np.float64)
  return y


def rpn(features, values, rate=1):
  """Logits `[n, 2]` and codes `[n, 4]`; `values` by path in the network."""
  layer = lambda x, name, r=1: convolve(x, values[f"{name}/kernel"], values[f"{name}/bias"], r)
  hidden = np.clip(layer(features, "conv", rate), 0, 6)
  return layer(hidden, "objectness").reshape(-1, 2), layer(hidden, "codes").reshape(-1, 4)


def detections(boxes, logits, codes, height, width, threshold=0.6, per_class=100, total=300):
  """Per-class suppression: (box, class, score), best first."""
  scores, found = softmax(logits), []
  for k in range(codes.shape[1]):
    own = clip(decode(codes[:, k], boxes), height, width)
    score = scores[:, k + 1]
    kept = np.flatnonzero((score > 0) & np.array([area(box) > 0 for box in own], bool))
    best = nms(own[kept], score[kept], threshold, per_class) if len(kept) else []
    found += [(own[i], k, score[i]) for i in kept[best]]
  return sorted(found, key=lambda d: -d[2])[:total]


def clipped(gradients, longest):
  """`slim.learning.clip_gradient_norms`: each by itself."""
  return [g * min(1.0, longest / n) if (n := np.sqrt((g.astype(np.float64)**2).sum())) else g
          for g in gradients]
