"""What people see: progress, tables and summaries."""
