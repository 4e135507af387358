"""Open Images: image-level labels and boxes."""
