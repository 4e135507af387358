"""Raw material of several kinds, as streams of pictures with labels."""
