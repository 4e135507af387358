"""The form of records on disk: schema, framing, shards, manifest."""
