"""Chunks of Dask arrays that are read in the task that uses them, not before it."""

import sys
import uuid
from collections import Counter

__all__ = ["UnreadChunk", "call_on_read", "culled", "own_copies", "unread_chunks"]


class UnreadChunk:
    """Chunk of a Dask array: the last task that makes it, and the tasks that it needs.

    Parameters
    ----------
    task : graph node
        Gives the chunk when called with the results of what it needs, by name.
    needed : list of Delayed
        What it needs; empty where a chunk is read and changed by itself.
    """

    def __init__(self, task, needed):
        self.task = task
        self.needed = needed

    @property
    def recipe(self):
        """A `_Reader` and the arguments that it takes once they are computed."""
        return (_Reader(self.task, [other.key for other in self.needed]), *self.needed)


class _Reader:
    """Function that makes a chunk out of what it needs."""

    def __init__(self, task, names):
        self.task = task
        self.names = names

    def __call__(self, *results):
        return self.task(dict(zip(self.names, results, strict=True)))


def _only(results):
    """The one result."""
    (result,) = results.values()
    return result


def call_on_read(function, *arguments):
    """Result of the function; what is still a recipe among the arguments is read first."""
    return function(*map(_read, arguments))


def _read(argument):
    """The chunk of a recipe; anything else is itself."""
    if isinstance(argument, tuple) and argument and isinstance(argument[0], _Reader):
        reader, *results = argument
        return reader(*results)
    return argument


def unread_chunks(*arrays):
    """Lists of `UnreadChunk`, one list for each Dask array.

    A raw chunk thus lives as long as the one task that uses it. What several chunks need,
    for instance a mean over all rows, stays a task of its own.
    """
    from dask.core import flatten
    from dask.delayed import Delayed
    from dask.utils import ensure_dict

    if not arrays:
        return []
    arrays = own_copies(*arrays)
    whole = arrays[0].__dask_graph__()  # that of all of them
    (layer,) = whole.layers
    graph = ensure_dict(whole)
    n_dependents = Counter(other for task in graph.values() for other in _needs(task))

    def unread(key):
        if n_dependents[key] or not _is_task(graph[key]):
            # Others need it too, or it is on the cluster already.
            return UnreadChunk(_only, [Delayed(key, whole, layer=layer)])
        task, other = graph[key], getattr(graph[key], "target", None)
        if n_dependents[other] == 1 and _is_task(graph[other]):
            task = graph[other]  # the name stood for another
        return UnreadChunk(task, [Delayed(k, whole, layer=layer) for k in _needs(task)])

    return [[unread(key) for key in flatten(a.__dask_keys__())] for a in arrays]


def own_copies(*arrays):
    """Dask arrays of the same values, optimised together, in one graph of new names.

    A scheduler takes two tasks of one name for the same. Graphs that were optimised with
    other arrays have different ones by the same names, and may be on the cluster too.
    """
    import dask
    from dask.base import clone_key
    from dask.core import flatten
    from dask.highlevelgraph import HighLevelGraph
    from dask.utils import ensure_dict

    distributed = sys.modules.get("distributed")  # without it nothing is on a cluster
    futures = [] if distributed is None else distributed.futures_of(arrays)
    on_cluster = {future.key: future for future in futures}
    # Fusing has to be on: it makes one task of all that is done to a chunk.
    with dask.config.set({"optimization.fuse.active": None}):
        arrays = dask.optimize(*arrays)
    graph = {}
    for array in arrays:
        graph.update(ensure_dict(array.__dask_graph__()))
    seed = uuid.uuid4().hex
    names = {key: clone_key(key, seed) for key in graph if key not in on_cluster}
    renamed = {
        name: graph[key].substitute(names, key=name) for key, name in names.items()
    }
    graph = HighLevelGraph.from_collections(seed, {**renamed, **on_cluster})
    copies = []
    for array in arrays:
        rebuild, arguments = array.__dask_postpersist__()
        key = next(flatten(array.__dask_keys__()))
        new_names = {array.name: clone_key(array.name, seed)} if key in names else None
        copies.append(rebuild(graph, *arguments, rename=new_names))
    return copies


def _is_task(value):
    """Whether a value of a graph is a task, and not a future."""
    return hasattr(value, "substitute") and hasattr(value, "dependencies")


def _needs(value):
    """Names of what a task needs."""
    return value.dependencies if _is_task(value) else ()


def culled(tasks):
    """The Delayed with one graph, of what they need and no more.

    A graph of a whole array would else go to the scheduler with every run of its chunks.
    """
    from dask.delayed import Delayed
    from dask.highlevelgraph import HighLevelGraph
    from dask.optimization import cull
    from dask.utils import ensure_dict

    keys = [task.key for task in tasks]
    whole = ensure_dict(HighLevelGraph.merge(*(task.dask for task in tasks)))
    graph = HighLevelGraph.from_collections(keys[0], cull(whole, keys)[0])
    return [Delayed(key, graph, layer=keys[0]) for key in keys]
