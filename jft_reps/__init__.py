"""Pre-training on large, noisy picture collections, and what it does for other tasks.

The system of Sun, Shrivastava, Singh and Gupta, "Revisiting Unreasonable
Effectiveness of Data in Deep Learning Era" (ICCV 2017). Importing this package
loads neither TensorFlow nor anything else; import the rooms you need:

    from jft_reps.models import resnet
    from jft_reps.metrics import fasteval
"""

__version__ = "0.1.0"
