"""`python -m benchmarks NAME [options]`, from the root of the repository."""

from benchmarks.harness.run import main

if __name__ == "__main__":
    main()
