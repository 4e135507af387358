"""ILSVRC-2012 and ImageNet-21k."""
