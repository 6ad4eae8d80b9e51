"""The OneNET dialect: everything that is shaped as that platform shaped it, and nothing else."""
