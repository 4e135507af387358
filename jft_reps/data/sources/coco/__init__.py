"""COCO's JSON files: boxes, keypoints, outlines."""
