"""Workers and one-off runs: which process executes a job, and when."""
