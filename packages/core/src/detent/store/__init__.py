"""What remains: records, changes, and the contract of every store."""
