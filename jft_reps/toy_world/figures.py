"""The jointed family of the toy world: bipeds seen from the front, with named keypoints.

A figure faces the viewer, so its anatomical left is on the right of the picture, as in COCO.
Mirroring a picture therefore exchanges left and right keypoints (`mirror`).
"""

from __future__ import annotations

import numpy as np

from jft_reps.toy_world.geometry import (
  ACCENT,
  BODY,
  DARK,
  LIGHT,
  SHADE,
  SKIN,
  WOOD,
  Part,
  Shape,
  arc,
  blob,
  box,
  ellipse,
  eye,
  limb,
  polygon,
)

KEYPOINTS = (
    "head_top", "neck", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee",
    "left_ankle", "right_ankle",
)
MIRROR_PAIRS = ((2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13))
SKELETON = (
    (0, 1), (1, 2), (1, 3), (2, 4), (4, 6), (3, 5), (5, 7), (2, 8), (3, 9), (8, 9),
    (8, 10), (10, 12), (9, 11), (11, 13),
)
KINDS = ("chef", "robot", "wizard", "monkey", "astronaut", "clown", "rabbit")

# Where each keypoint's mirror image stands.
MIRRORED = [dict((*MIRROR_PAIRS, *((b, a) for a, b in MIRROR_PAIRS))).get(k, k) for k in range(14)]


def mirror(keypoints: np.ndarray, width: float = 1.0) -> np.ndarray:
  """Keypoints of the horizontally mirrored picture.

  Args:
    keypoints: `[..., 14, 3]` as (y, x, visibility), x in `[0, width]`.
    width: of the picture in the unit of x.

  Returns:
    The same shape: x becomes `width - x`, and left and right change places.
  """
  flipped = np.array(keypoints)[..., MIRRORED, :]
  flipped[..., 1] = width - flipped[..., 1]
  return flipped


def pose(draws: np.ndarray) -> np.ndarray:
  """Joints of a figure about 20 high, float64 `[14, 2]` as (x, y).

  Args:
    draws: `[9]` uniform numbers: lean of the head, then upper arm, forearm, thigh and shin for
      the figure's left and right side.
  """
  head = (draws[0] - 0.5) * 2.4
  joints = np.empty((14, 2))
  joints[0], joints[1] = (head, -10.2), (0, -4.9)
  for side, sign in ((0, 1), (1, -1)):
    upper, fore, thigh, shin = draws[1 + 4 * side : 5 + 4 * side]
    shoulder, hip = np.array([sign * 2.9, -3.9]), np.array([sign * 1.7, 2.4])
    arm = 20 + 125 * upper
    elbow = shoulder + 3.6 * _down(arm, sign)
    wrist = elbow + 3.5 * _down(arm - 35 + 100 * fore, sign)
    knee = hip + 3.9 * _down(4 + 34 * thigh, sign)
    ankle = knee + 3.9 * _down(4 + 34 * thigh - 26 * shin, sign)
    joints[2 + side], joints[4 + side], joints[6 + side] = shoulder, elbow, wrist
    joints[8 + side], joints[10 + side], joints[12 + side] = hip, knee, ankle
  return joints


def _down(degrees: float, sign: int) -> np.ndarray:
  """The direction `degrees` outward from straight down."""
  angle = np.radians(degrees)
  return np.array([sign * np.sin(angle), np.cos(angle)])


def figure(kind: str, draws: np.ndarray) -> Shape:
  """A figure of one of `KINDS` in the pose that `draws` (`[9]`, uniform) describes."""
  joints = pose(draws)
  x = float(joints[0, 0])
  limbs = _limbs(joints, *_LIMB_STYLE[kind])
  back, torso, head = _DRESS[kind](x)
  return Shape.of([*back, *limbs, *torso, *head], joints)


# Half width of arms and legs, paint of sleeves, hands, trousers and shoes.
_LIMB_STYLE = {
    "chef": (1.1, BODY, SKIN, DARK, DARK),
    "robot": (0.85, DARK, ACCENT, DARK, ACCENT),
    "wizard": (1.15, BODY, SKIN, SHADE, WOOD),
    "monkey": (0.9, BODY, SKIN, BODY, SKIN),
    "astronaut": (1.25, BODY, DARK, BODY, DARK),
    "clown": (1.15, ACCENT, LIGHT, BODY, DARK),
    "rabbit": (1.0, SHADE, LIGHT, SHADE, LIGHT),
}


def _limbs(joints, width, sleeve, hand, trouser, shoe) -> list[Part]:
  def bone(one, other, half_width) -> np.ndarray:
    return limb(one[0], one[1], other[0], other[1], half_width)

  parts = []
  for side in (0, 1):
    shoulder, elbow, wrist = joints[2 + side], joints[4 + side], joints[6 + side]
    hip, knee, ankle = joints[8 + side], joints[10 + side], joints[12 + side]
    outward = 0.7 if side == 0 else -0.7
    parts += [
        (trouser, bone(hip, knee, 1.15 * width)), (trouser, bone(knee, ankle, 1.1 * width)),
        (shoe, ellipse(ankle[0] + outward, ankle[1] + 0.5, 1.7, 1.0, corners=12)),
        (sleeve, bone(shoulder, elbow, width)), (sleeve, bone(elbow, wrist, width)),
        (hand, ellipse(wrist[0], wrist[1], 1.15, corners=10)),
    ]
  return parts


def _face(x: float, y: float = -7.4) -> list[Part]:
  return [(DARK, ellipse(x - 0.95, y, 0.45, corners=6)),
          (DARK, ellipse(x + 0.95, y, 0.45, corners=6))]


_TORSO = (-3.4, -4.9, 3.4, -4.9, 2.7, 3.2, -2.7, 3.2)


def _chef(x):
  torso = [(BODY, blob(*_TORSO, rounds=1)),
           (LIGHT, blob(-2, -0.4, 2, -0.4, 2, 4.6, -2, 4.6, rounds=1))]
  head = [(SKIN, ellipse(x, -7.3, 2.7)), *_face(x), (LIGHT, box(x - 2.3, -11.4, x + 2.3, -9.2)),
          (LIGHT, ellipse(x - 1.7, -12.2, 1.9)), (LIGHT, ellipse(x + 1.7, -12.2, 1.9)),
          (LIGHT, ellipse(x, -12.8, 2))]
  return [], torso, head


def _robot(x):
  torso = [(BODY, box(-3.6, -5, 3.6, 3.2)), (ACCENT, ellipse(0, -1.4, 1.3, corners=10))]
  head = [(DARK, limb(x, -10, x, -12.4, 0.35)), (ACCENT, ellipse(x, -12.6, 0.9, corners=10)),
          (BODY, box(x - 3, -10.2, x + 3, -5.4)), *eye(x - 1.3, -8, 0.95), *eye(x + 1.3, -8, 0.95),
          (DARK, box(x - 1.6, -6.6, x + 1.6, -6))]
  return [], torso, head


def _wizard(x):
  torso = [(BODY, polygon(-2.8, -4.9, 2.8, -4.9, 5, 6.4, -5, 6.4)),
           (ACCENT, box(-3.3, 0, 3.3, 1.2))]
  head = [(SKIN, ellipse(x, -7.2, 2.5)),
          (LIGHT, blob(x - 2.6, -6.8, x + 2.6, -6.8, x, 0.4, rounds=1)),
          *_face(x, -7.7), (BODY, polygon(x - 2.7, -8.8, x + 2.7, -8.8, x + 0.8, -15.4)),
          (ACCENT, ellipse(x, -8.8, 4, 0.8))]
  return [], torso, head


def _monkey(x):
  back = [(BODY, arc(-5, 1, 4.4, 3.3, -10, 190))]
  torso = [(BODY, blob(*_TORSO, rounds=2)), (SKIN, ellipse(0, -0.2, 1.6, 2.4))]
  head = [(SKIN, ellipse(x - 3.3, -7.6, 1.6, corners=12)),
          (SKIN, ellipse(x + 3.3, -7.6, 1.6, corners=12)),
          (BODY, ellipse(x, -7.6, 3)), (SKIN, ellipse(x, -6.6, 2.2, 1.7)), *_face(x, -8.2)]
  return back, torso, head


def _astronaut(x):
  back = [(SHADE, box(-4.2, -5.6, 4.2, 1.2))]
  torso = [(BODY, blob(-4, -5, 4, -5, 3.4, 3.4, -3.4, 3.4, rounds=1)),
           (ACCENT, box(-1.6, -2.4, 1.6, 0))]
  head = [(LIGHT, ellipse(x, -7.8, 3.9)), (DARK, ellipse(x, -7.6, 2.9, 2.3)),
          (LIGHT, ellipse(x - 1.1, -8.2, 0.8, 0.5, -30, corners=8))]
  return back, torso, head


def _clown(x):
  torso = [(BODY, ellipse(0, -0.6, 4.2, 4.9)), (LIGHT, ellipse(0, -1.6, 0.8, corners=8)),
           (LIGHT, ellipse(0, 1.2, 0.8, corners=8)), (LIGHT, ellipse(0, -4.6, 3.6, 1.1))]
  head = [(ACCENT, ellipse(x - 2.9, -8.2, 1.9, corners=12)),
          (ACCENT, ellipse(x + 2.9, -8.2, 1.9, corners=12)),
          (SKIN, ellipse(x, -7.6, 2.7)), *_face(x, -8.2), (ACCENT, ellipse(x, -7, 0.9, corners=10)),
          (BODY, polygon(x - 1.8, -9.8, x + 1.8, -9.8, x, -13.4)),
          (LIGHT, ellipse(x, -13.4, 0.8, corners=8))]
  return [], torso, head


def _rabbit(x):
  torso = [(BODY, blob(*_TORSO, rounds=1)), (ACCENT, polygon(0, -4, -2, -5.2, -2, -2.8)),
           (ACCENT, polygon(0, -4, 2, -5.2, 2, -2.8))]
  head = [(SHADE, ellipse(x - 1.6, -12.4, 1.1, 3.6, -10)),
          (SHADE, ellipse(x + 1.6, -12.4, 1.1, 3.6, 10)),
          (SHADE, ellipse(x, -7.6, 3)), (LIGHT, ellipse(x, -6.4, 1.9, 1.4)), *_face(x, -8.2),
          (LIGHT, box(x - 0.7, -5.6, x + 0.7, -4.2))]
  return [], torso, head


_DRESS = dict(chef=_chef, robot=_robot, wizard=_wizard, monkey=_monkey, astronaut=_astronaut,
              clown=_clown, rabbit=_rabbit)
