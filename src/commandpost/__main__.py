"""`python -m commandpost`, for where the script of that name is not on the path."""

from commandpost.cli.main import main

if __name__ == "__main__":
    main()
