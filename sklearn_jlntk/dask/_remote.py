"""Results that the workers hold, and what it takes to compute them once more."""

import uuid
import weakref

from sklearn_jlntk.dask._client import import_dask
from sklearn_jlntk.dask._graphs import UnreadChunk, call_on_read

__all__ = ["Recipe", "Remote", "named_task"]


class Recipe:
    """A function and its arguments, by which a result can be computed at any time.

    Parameters
    ----------
    function : callable
        Gives the result.
    arguments : iterable
        Its arguments; `Remote` and `UnreadChunk` among them.
    run : int, default=None
        Run of chunks that the result belongs to; None where any worker may hold it.
    """

    def __init__(self, function, arguments, run=None):
        self.function = function
        # The recipe of a result, not the result: what nobody else needs is forgotten.
        self.arguments = [a.recipe if isinstance(a, Remote) else a for a in arguments]
        self.run = run
        self.result = None  # weak reference to a `Remote`

    def task(self, made):
        """Delayed of the result, of one that is there or of a new task.

        `made` has the new tasks of a submission by their recipes, and is added to.
        """
        if self not in made:
            remote = None if self.result is None else self.result()
            is_there = remote is not None and remote.task is not None
            made[self] = remote.task if is_there else self._new_task(made)
        return made[self]

    def _new_task(self, made):
        """Task that computes the result; unread chunks are read in it."""
        values = [a.task(made) if isinstance(a, Recipe) else a for a in self.arguments]
        if not any(isinstance(a, UnreadChunk) for a in values):
            return named_task(self.function, *values)
        values = [a.recipe if isinstance(a, UnreadChunk) else a for a in values]
        name = self.function.__name__
        return named_task(call_on_read, self.function, *values, name=name)


class Remote:
    """Result of a recipe that a worker holds, or is going to.

    Parameters
    ----------
    recipe : Recipe
        Gives the result.
    """

    def __init__(self, recipe):
        self.recipe = recipe
        self.task = None  # Delayed
        self._forget = None
        recipe.result = weakref.ref(self)

    def submitted(self, task):
        """Take note of the Delayed of a future; it is released with this object."""
        _, _, distributed = import_dask()
        (future,) = distributed.futures_of(task)
        self.task = task
        self._forget = weakref.finalize(self, future.release)
        self._forget.atexit = False

    def release(self):
        """Let the cluster forget the result."""
        self.task = None
        if self._forget is not None:
            self._forget()


def named_task(function, *arguments, name=None):
    """Delayed of a name of its own: hashing arrays for one would take longer."""
    dask, _, _ = import_dask()
    key = f"{name or function.__name__}-{uuid.uuid4()}"
    return dask.delayed(function, pure=False)(*arguments, dask_key_name=key)
