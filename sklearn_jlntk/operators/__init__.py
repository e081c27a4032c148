"""Linear operators: the Johnson-Lindenstrauss family and its adjoints."""
