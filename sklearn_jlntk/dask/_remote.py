"""Results on the workers, with the recipes to compute them again."""

import uuid
import weakref

from sklearn_jlntk.dask._client import import_dask
from sklearn_jlntk.dask._graphs import UnreadChunk, call_on_read

__all__ = ["Recipe", "Remote", "named_task"]


class Recipe:
    """A function with its arguments, from which a result can be computed again.

    Parameters
    ----------
    function : callable
        Function that returns the result.
    arguments : iterable
        Its arguments; they may be `Remote` and `UnreadChunk`.
    run : int, default=None
        Run of chunks that the result belongs to; None if any worker may hold it.
    """

    def __init__(self, function, arguments, run=None):
        self.function = function
        # Recipes instead of results, so that unused results can be deleted.
        self.arguments = [a.recipe if isinstance(a, Remote) else a for a in arguments]
        self.run = run
        self.result = None  # weak reference to a `Remote`

    def task(self, made):
        """Delayed of the result: the existing one, or a new task.

        `made` maps recipes to the new tasks of a submission, and is updated.
        """
        if self not in made:
            remote = None if self.result is None else self.result()
            is_there = remote is not None and remote.task is not None
            made[self] = remote.task if is_there else self._new_task(made)
        return made[self]

    def _new_task(self, made):
        """Task that computes the result, and reads its unread chunks."""
        values = [a.task(made) if isinstance(a, Recipe) else a for a in self.arguments]
        if not any(isinstance(a, UnreadChunk) for a in values):
            return named_task(self.function, *values)
        values = [a.recipe if isinstance(a, UnreadChunk) else a for a in values]
        name = self.function.__name__
        return named_task(call_on_read, self.function, *values, name=name)


class Remote:
    """Result of a recipe on a worker, computed or still to be computed.

    Parameters
    ----------
    recipe : Recipe
        Recipe of the result.
    """

    def __init__(self, recipe):
        self.recipe = recipe
        self.task = None  # Delayed
        self._forget = None
        recipe.result = weakref.ref(self)

    def submitted(self, task):
        """Store the Delayed of a future, which is released with this object."""
        _, _, distributed = import_dask()
        (future,) = distributed.futures_of(task)
        self.task = task
        self._forget = weakref.finalize(self, future.release)
        self._forget.atexit = False

    def release(self):
        """Remove the result from the cluster."""
        self.task = None
        if self._forget is not None:
            self._forget()


def named_task(function, *arguments, name=None):
    """Delayed with a unique name, which is faster than hashing its arguments."""
    dask, _, _ = import_dask()
    key = f"{name or function.__name__}-{uuid.uuid4()}"
    return dask.delayed(function, pure=False)(*arguments, dask_key_name=key)
