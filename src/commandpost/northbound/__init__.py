"""HTTP for applications: what is asked, in which dialect, and how it is answered."""
