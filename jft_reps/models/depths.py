"""How deep residual networks are: the bottleneck units of each stage, by the depth in their names.

No TensorFlow here: machine-hours and the checks of a plan know depths too.
"""

STAGES = ("conv1", "conv2", "conv3", "conv4", "conv5")
# Units of conv2 to conv5. 50, 101 and 152 are He et al.'s (2015, table 1); 14 and 26 are ours, for
# laptops: one and two units per stage. A depth counts conv1, three convolutions per unit, and the
# classifier.
UNITS = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
         152: (3, 8, 36, 3)}
