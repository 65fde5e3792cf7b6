"""One package per science, found by discovery (see `sciformer.adapter`)."""
