"""Order of the examples in the gallery: a first run, theorems, sizes, costs, the kernel."""

ORDER = (
    "quickstart",
    "report",
    "loss_and_bound",
    "kernel_deviation",
    "kernel_drift",
    "learning_rates",
    "random_labels",
    "sketch_distortion",
    "step_cost",
    "sizes_at_fixed_parameters",
    "sketched_kernel",
    "mislabelled_digits",
    "learned_metric",
    "foretold_error",
)


class ByReading:
    """Sort key of sphinx-gallery; an example that is not in the list raises."""

    def __init__(self, source_folder):
        self.source_folder = source_folder

    def __call__(self, file_name):
        """Place of a file among the examples."""
        return ORDER.index(file_name.removeprefix("plot_").removesuffix(".py"))
