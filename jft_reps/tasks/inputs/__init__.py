"""What a task reads: batches of pictures with labels, boxes, masks or people."""
