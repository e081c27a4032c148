"""Training of the estimators: drawing the network, step size, descent, outcome.

The estimators are shells around this: they check what comes in and say what the outputs
mean. Here the network is drawn and trained on real targets.
"""

import warnings
from functools import cache, partial
from types import SimpleNamespace

from sklearn.base import is_classifier
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning

from sklearn_jlntk import theory
from sklearn_jlntk._backend.array_api import (
    array_namespace,
    at_hand,
    from_host,
    host_or_cuda,
    to_floats,
    to_host,
)
from sklearn_jlntk._validation import move_beside
from sklearn_jlntk.diagnostics import NTKReport
from sklearn_jlntk.gradient_descent import (
    DescentStatus,
    _by_events,
    gradient_descent,
    largest_eigenvalue,
)
from sklearn_jlntk.network._draw import draw_network, resolve_sizes
from sklearn_jlntk.neural_network._network_estimator import NetworkEstimator, converted
from sklearn_jlntk.neural_network._training import (
    EarlyStopping,
    Extent,
    Progress,
    Samples,
    Start,
    StepTasks,
    hold_out,
    steps_ahead,
)
from sklearn_jlntk.ntk import infinite_width_ntk, smallest_eigenvalue


class FactorizedEstimator(CallbackSupportMixin, NetworkEstimator):
    """Base of the estimators that train a factorised network on real targets."""

    def _train(self, X, targets, sample_weight, *, y, resume, warn):
        """Train on checked rows and real targets; fitted attributes are set at the end.

        `y` is what the user gave, for the callbacks; `resume` goes on from the fitted
        weights; `warn` says whether running out of steps is worth a warning.
        """
        rows, targets, sample_weight = self._where_computed(X, targets, sample_weight)
        start = self._resume if resume else self._draw_start
        network, initial_weights, weights = start(
            Extent.of(rows, targets, sample_weight)
        )
        samples, intercept = self._samples(
            network, initial_weights, rows, targets, sample_weight
        )
        judge = None
        if self.early_stopping:
            samples, held_out = hold_out(samples, **self._held_out(y))
            judge = self._judge_of(network, initial_weights, [held_out])

        def value_and_gradient(B):
            return network.value_and_gradient(
                B, *samples, alpha=self.alpha, anchor=initial_weights
            )

        step_size = self._step_size(network, initial_weights, samples)
        descend = None
        if self._may_skip_weights(resume) and _by_events.serves(
            network, samples, step_size[0] * self.alpha, self.max_iter
        ):
            descend = partial(
                _by_events.descend, network, samples, self.alpha, initial_weights
            )
        return self._descend(
            Start(network, initial_weights, weights, intercept),
            value_and_gradient,
            step_size,
            data=(X, y, sample_weight),
            judge=judge,
            resume=resume,
            warn=warn,
            descend=descend,
        )

    def _may_skip_weights(self, resume):
        """Whether the weights between steps are asked for by nobody.

        What finishes an interrupted fit takes the steps of that one, to the last bit.
        """
        return not (
            self.solver == "gd"
            or self.early_stopping
            or getattr(self, "_skl_callbacks", None)
            or (resume and getattr(self, "_unfinished", None) is not None)
        )

    def _descend(
        self,
        start,
        value_and_gradient,
        step_size,
        *,
        data,
        judge,
        resume,
        warn,
        descend=None,
    ):
        """Descend, tell the callbacks of it, and set the fitted attributes at the end.

        `step_size` is the learning rate and a function of the largest curvature at the
        start; `data` is X, y and sample_weight as the callbacks are to see them;
        `descend` is that of `gradient_descent`.
        """
        network, initial_weights, weights, intercept = start
        learning_rate, curvature = step_size
        earlier, losses, weights = self._progress(weights, judge, resume)

        def fitted_attributes(weights, losses, is_finished):
            weights = weights() if callable(weights) else weights
            curve = earlier + losses
            attributes = {
                "weights_": weights if judge is None else judge.best_weights,
                "initial_weights_": initial_weights,
                "input_projection_": network.input_projection,
                "hidden_expansion_": network.hidden_expansion,
                "output_signs_": network.output_signs,
                "intercept_": intercept if intercept.ndim else float(intercept),
                "learning_rate_": learning_rate,
                "loss_curve_": curve,
                "n_iter_": len(curve) - 1,
                "n_components_": weights.shape[1],
                "effective_width_": weights.shape[0],
                "_unfinished": None
                if is_finished
                else Progress(len(losses) - 1, weights),
            }
            if judge is not None:
                attributes["validation_scores_"] = list(judge.scores)
                attributes["best_validation_score_"] = judge.best_score
            return self._beside_caller(attributes)

        tasks = StepTasks(self, *data, fitted_attributes, judge)
        try:
            result = gradient_descent(
                value_and_gradient,
                weights,
                learning_rate=learning_rate,
                max_iter=self.max_iter,
                tol=self.tol if judge is None else None,
                n_iter_no_change=self.n_iter_no_change,
                losses=losses,
                on_step_begin=tasks.begin_step,
                on_step_end=tasks.end_step,
                n_ahead=steps_ahead(weights),
                to_floats=to_floats,
                descend=descend,
            )
        except KeyboardInterrupt:
            if tasks.latest is not None:
                vars(self).update(tasks.latest())
            raise
        self._judge_status(result, learning_rate, curvature, warn)
        attributes = fitted_attributes(result.weights, result.losses, True)
        vars(self).update(attributes)
        tasks.end_fit(attributes)
        return self

    def _progress(self, weights, judge, resume):
        """Losses of earlier fits, losses of the one to be finished, weights to start from.

        A fit that was interrupted is the one to be finished; its steps count, and what it
        had found on held-out samples is told to the judge.
        """
        if not resume:
            return [], [], weights
        unfinished = getattr(self, "_unfinished", None)
        if unfinished is None:
            return self.loss_curve_[:-1], self.loss_curve_[-1:], weights
        if judge is not None:
            judge.recall(self.validation_scores_, weights)
        n_earlier = len(self.loss_curve_) - 1 - unfinished.n_steps
        return (
            self.loss_curve_[:n_earlier],
            self.loss_curve_[n_earlier:],
            converted(unfinished.weights, lambda a: host_or_cuda(a, self.device)),
        )

    def diagnose(self, X, y, *, delta=0.1):
        r"""Report on the theorems' quantities beside what the training did.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows of `fit`: the recorded losses are compared with the bound only if
            they are those of these rows and targets.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets or labels.
        delta : float, default=0.1
            Probability with which the theorems' promises may fail.

        Returns
        -------
        report : NTKReport
            Prints as a table.

        Notes
        -----
        Costs :math:`O(n^2 m + n^3)` operations; a few thousand rows at the most.
        """
        X = self._checked_rows(X, "diagnose")
        y = self._targets(X, y) if is_classifier(self) else move_beside(X, y)
        rows, y = self._network_rows(X), host_or_cuda(y, at_hand(self.device))
        network, initial_weights, weights = self._model()
        features = network.features(rows)
        xp = array_namespace(features)
        targets = xp.astype(y, features.dtype, copy=False) - self._intercept()
        start, end = (network.outputs(B, features) for B in (initial_weights, weights))
        if self.initial_output == "zero":
            start, end = xp.zeros_like(start), end - start
        return NTKReport.from_network(
            network,
            initial_weights,
            weights,
            features,
            targets,
            residuals=(targets - start, targets - end),
            losses=self.loss_curve_ if self.alpha == 0 else None,
            learning_rate=self.learning_rate_,
            delta=delta,
            factorization=self.factorization,
            **self._sizes_to_compare(rows)._asdict(),
        )

    def _sizes_to_compare(self, rows):
        """Sizes of this network, and those that "auto" gives where it has none."""
        n_samples, n_inputs = rows.shape
        sizes = {"n_components": self.n_components_}
        if self.factorization == "abc":
            sizes["effective_width"] = self.effective_width_
        elif self.factorization == "dense":
            sizes["n_components"] = "auto"
        params = {**self.get_params(), "effective_width": "auto", **sizes}
        params["factorization"] = "abc"
        return resolve_sizes(SimpleNamespace(**params), n_inputs, n_samples)

    def _samples(self, network, initial_weights, rows, targets, sample_weight):
        """Training samples whose targets are what the network is to add, and intercept."""
        features = network.features(rows)
        intercept = self._weighted_mean(targets, sample_weight)
        targets = targets - intercept
        if self.initial_output == "zero":
            targets = targets + network.outputs(initial_weights, features)
        return Samples(features, targets, sample_weight), intercept

    def _targets(self, X, y):
        """Real targets beside X; a classifier makes them of labels."""
        return move_beside(X, y)

    def _where_computed(self, X, targets, sample_weight):
        """Normalised rows, targets and weights, where the network computes."""
        return self._network_rows(X), *(
            None if a is None else host_or_cuda(a, self.device)
            for a in (targets, sample_weight)
        )

    def _held_out(self, y):
        """Arguments of `hold_out`."""
        return {
            "fraction": self.validation_fraction,
            "random_state": self.random_state,
            "stratify": to_host(y) if is_classifier(self) else None,
        }

    def _judge_of(self, network, initial_weights, held_out):
        """Judge that holds the chunks of held-out samples."""
        return EarlyStopping(
            network,
            initial_weights,
            held_out,
            tol=self.tol or 0.0,
            n_iter_no_change=self.n_iter_no_change,
        )

    def _draw_start(self, extent):
        """Freshly drawn network, initial weights, and these again to start from."""
        sizes = resolve_sizes(self, extent.n_inputs, extent.total_weight)
        like = extent.like
        network, rng = draw_network(self, sizes, extent.output_shape, like=like)
        shape = (sizes.effective_width, sizes.n_components)
        weights = from_host(rng.standard_normal(shape), like, like.dtype)
        n_weights = weights.shape[0] * weights.shape[1]
        if n_weights < extent.n_rows:
            warnings.warn(
                f"{weights.shape[0]} x {weights.shape[1]} = {n_weights} trained weights "
                f"are fewer than the {extent.n_rows} samples: H(t) has rank {n_weights} "
                "at the most, its smallest eigenvalue is 0 and the loss stalls above 0. "
                "Increase effective_width or n_components for the theorems to apply.",
                UserWarning,
                stacklevel=4,
            )
        return network, weights, weights

    def _resume(self, extent):
        """The fitted network, its initial weights, and the weights to go on from."""
        asked = {"width": self.width, "n_outputs": (*extent.output_shape, 1)[0]}
        if self.n_components != "auto" and self.factorization != "dense":
            asked["n_components"] = self.n_components
        if self.effective_width != "auto" and self.factorization == "abc":
            asked["effective_width"] = self.effective_width
        network, initial_weights, weights = self._model()
        fitted = {
            "width": network.width,
            "n_outputs": network.n_outputs,
            "n_components": self.n_components_,
            "effective_width": self.effective_width_,
        }
        for name, value in asked.items():
            if value != fitted[name]:
                raise ValueError(
                    f"The fitted network has {name}={fitted[name]}, and {name}={value} is "
                    "asked for; training goes on only with the network that is there. "
                    "Fit with warm_start=False to draw a new one."
                )
        return network, initial_weights, weights

    def _weighted_mean(self, targets, sample_weight):
        """Intercept: weighted mean of the targets, shape () or (n_outputs,)."""
        xp = array_namespace(targets)
        if not self.fit_intercept:
            return xp.zeros_like(targets[0, ...])
        if sample_weight is None:
            return xp.mean(targets, axis=0)
        column = xp.reshape(sample_weight, (-1,) + (1,) * (targets.ndim - 1))
        return xp.sum(column * targets, axis=0) / xp.sum(sample_weight)

    def _step_size(self, network, initial_weights, samples):
        """Learning rate, and a function of the largest curvature at the start."""

        def curvature():
            features, _, sample_weight = samples
            xp = array_namespace(features)
            u = network.outputs(initial_weights, features)
            scale = xp.ones_like(u)
            if sample_weight is not None:
                scale = scale * xp.reshape(
                    xp.sqrt(sample_weight), (-1,) + (1,) * (u.ndim - 1)
                )

            product = network.tangent_kernel_product(initial_weights, features)
            # The outputs at the start are a generic vector that follows the rows: it
            # makes the answer independent of their order, and of whether they repeat or
            # weigh.
            return largest_eigenvalue(lambda s: scale * product(scale * s), scale * u)

        return self._rate_and_curvature(network, curvature, lambda: samples)

    def _rate_and_curvature(self, network, curvature, samples):
        """Learning rate, and a function of the largest curvature of the loss.

        `curvature` gives that without the penalty, at a cost of many steps, and is called
        only where it is needed; `samples` gives all samples in memory.
        """

        @cache
        def penalized():
            return curvature() + self.alpha

        if self.learning_rate == "theory":
            return self._rate_of_theorem(network, samples()), penalized
        if self.learning_rate == "auto":
            return (1 / penalized() if penalized() > 0 else 1.0), penalized
        return float(self.learning_rate), penalized

    def _rate_of_theorem(self, network, samples):
        """Learning rate of the convergence theorem of this factorisation."""
        H = infinite_width_ntk(network, features=samples.features)
        lambda_0 = float(smallest_eigenvalue(H))
        xp, n_samples = array_namespace(H), H.shape[0]
        rounding = n_samples * float(xp.finfo(H.dtype).eps) * float(xp.max(H))
        if lambda_0 <= rounding:
            raise ValueError(
                f"learning_rate='theory' is proportional to lambda_0, and lambda_0 = "
                f"{lambda_0:.3g} on these rows: some are zero, repeated or parallel. "
                "Remove them, or use learning_rate='auto'."
            )
        if samples.sample_weight is not None:
            n_samples = float(xp.sum(samples.sample_weight))
        return theory.learning_rate(
            lambda_0, n_samples, factorization=self.factorization
        )

    def _judge_status(self, result, learning_rate, curvature, warn):
        """Error, warning or silence for the way the descent ended."""
        status = result.status
        if status is DescentStatus.DIVERGED:
            limit = 2 / curvature() if curvature() > 0 else float("inf")
            raise ValueError(
                f"Gradient descent diverged within {result.n_iter} steps at learning_rate="
                f"{learning_rate:.4g}. It contracts below 2 / lambda_max = {limit:.4g}, "
                "with lambda_max the largest eigenvalue of H(0) plus alpha; use "
                "learning_rate='auto' or a number below that."
            )
        if status is DescentStatus.OUT_OF_STEPS and warn and self.tol is not None:
            warnings.warn(
                f"Stopped after max_iter={self.max_iter} steps. {status.value}",
                ConvergenceWarning,
                stacklevel=5,
            )
