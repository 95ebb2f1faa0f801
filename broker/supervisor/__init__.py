"""`medina up`: every role of Medina as a supervised child process on one machine, for a laptop or a demonstration."""
