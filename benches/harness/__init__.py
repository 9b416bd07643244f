"""What the comparison is made of: programs under test, rows of work, statistics, the report."""
