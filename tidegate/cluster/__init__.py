"""From a bare machine to a running development cluster, and back.

Edges, in the order in which `up` needs them:

- `doctor`: whether this machine can do it.
- `engine`: a Docker engine; the one that runs, or Debian's, started and stopped by us.
- `kind`: the cluster; `ensure`, `find`, `remove`, and `down`, which leaves nothing but the cache.
- `images`: the project's own images: built, loaded into the cluster or pushed. `chart`: the chart, staged for Helm.
- `registries`: pushes and pulls, and what to do where one refuses. `mirror`: all that an install needs, into one.

Where no image can be pulled, everything is made from package registries:

- `programs`: Kubernetes, containerd, etcd and the rest from Go modules.
- `debian`: root filesystems. `archives`: images of one layer, without an engine.
- `node_image`: the kind node, from those three. `standins`: images that carry the names of upstream ones.

Under all of them: `cache` (what is built is kept, by content), `commands` (running programs), `host` (what an engine
does to a machine, read and undone), `kubeconfig`, `project` (where the checkout's files lie), `errors`.
"""
