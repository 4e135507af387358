"""Pure tensor functions: pictures, boxes, losses."""
