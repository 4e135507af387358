"""From records to batches: order, decoding, parsing, label expansion."""
