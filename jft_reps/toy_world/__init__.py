"""The generated picture world: everything small that trains and tests without a download."""
