"""From pictures of a source to sharded records with a manifest."""
