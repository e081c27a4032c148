"""The available plans of steps, and the choice among them."""

from sklearn_jlntk.network._plan_abc_cuda import AbcPlan
from sklearn_jlntk.network._plan_bc_cuda import BcPlan

__all__ = ["PLANS", "choose_plan"]

PLANS = (BcPlan, AbcPlan)


def choose_plan(descent):
    """Class of the plan that is meant for a `Descent`; None where there is none.

    Its sizes, its library and its dtype decide, and never a timing.
    """
    return next((plan for plan in PLANS if plan.applies_to(descent)), None)
