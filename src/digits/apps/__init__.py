"""What the commands do. No stage imports it."""
