"""Read chunks of Dask arrays in the tasks that use them, and copy graphs."""

import sys
import uuid
from collections import Counter

__all__ = ["UnreadChunk", "call_on_read", "culled", "own_copies", "unread_chunks"]


class UnreadChunk:
    """Chunk of a Dask array that is not computed yet.

    Parameters
    ----------
    task : graph node
        Last task of the chunk. It takes the results of `needed` by name.
    needed : list of Delayed
        Tasks that it depends on; empty if the chunk depends on no other task.
    """

    def __init__(self, task, needed):
        self.task = task
        self.needed = needed

    @property
    def recipe(self):
        """A `_Reader` with its arguments, as a tuple."""
        return (_Reader(self.task, [other.key for other in self.needed]), *self.needed)


class _Reader:
    """Function that computes a chunk from the results it depends on."""

    def __init__(self, task, names):
        self.task = task
        self.names = names

    def __call__(self, *results):
        return self.task(dict(zip(self.names, results, strict=True)))


def _only(results):
    """The single value of a dict."""
    (result,) = results.values()
    return result


def call_on_read(function, *arguments):
    """Call a function, with recipes among its arguments replaced by their chunks."""
    return function(*map(_read, arguments))


def _read(argument):
    """Chunk of a recipe; other arguments are returned as they are."""
    if isinstance(argument, tuple) and argument and isinstance(argument[0], _Reader):
        reader, *results = argument
        return reader(*results)
    return argument


def unread_chunks(*arrays):
    """Lists of `UnreadChunk`, one list for each Dask array.

    A chunk is then in memory only while the task that uses it runs. Tasks that several
    chunks depend on, such as the mean over all rows, stay separate.
    """
    from dask.core import flatten
    from dask.delayed import Delayed
    from dask.utils import ensure_dict

    if not arrays:
        return []
    arrays = own_copies(*arrays)
    whole = arrays[0].__dask_graph__()  # the copies share one graph
    (layer,) = whole.layers
    graph = ensure_dict(whole)
    n_dependents = Counter(other for task in graph.values() for other in _needs(task))

    def unread(key):
        if n_dependents[key] or not _is_task(graph[key]):
            # Other tasks depend on it too, or it is on the cluster already.
            return UnreadChunk(_only, [Delayed(key, whole, layer=layer)])
        task, other = graph[key], getattr(graph[key], "target", None)
        if n_dependents[other] == 1 and _is_task(graph[other]):
            task = graph[other]  # `task` was an alias of it
        return UnreadChunk(task, [Delayed(k, whole, layer=layer) for k in _needs(task)])

    return [[unread(key) for key in flatten(a.__dask_keys__())] for a in arrays]


def own_copies(*arrays):
    """Copies of Dask arrays, optimised together, in one graph with new task names.

    A scheduler assumes that tasks of equal names are equal. After optimisation together
    with other arrays, tasks of the same name differ, and the others may be on the cluster.
    """
    import dask
    from dask.base import clone_key
    from dask.core import flatten
    from dask.highlevelgraph import HighLevelGraph
    from dask.utils import ensure_dict

    distributed = sys.modules.get("distributed")  # without it nothing is on a cluster
    futures = [] if distributed is None else distributed.futures_of(arrays)
    on_cluster = {future.key: future for future in futures}
    # Fusion has to be on: it merges all operations on a chunk into one task.
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
    """Names of the tasks that a task depends on."""
    return value.dependencies if _is_task(value) else ()


def culled(tasks):
    """Delayed objects with one graph that contains only the tasks they depend on.

    Otherwise the graph of a whole array would be sent with every run of its chunks.
    """
    from dask.delayed import Delayed
    from dask.highlevelgraph import HighLevelGraph
    from dask.optimization import cull
    from dask.utils import ensure_dict

    keys = [task.key for task in tasks]
    whole = ensure_dict(HighLevelGraph.merge(*(task.dask for task in tasks)))
    graph = HighLevelGraph.from_collections(keys[0], cull(whole, keys)[0])
    return [Delayed(key, graph, layer=keys[0]) for key in keys]
