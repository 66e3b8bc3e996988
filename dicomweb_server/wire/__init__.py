"""What PS3.18 messages look like. No I/O."""
