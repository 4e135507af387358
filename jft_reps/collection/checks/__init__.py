"""What is wrong with record sets: shards, records, pictures, sets against each other."""
