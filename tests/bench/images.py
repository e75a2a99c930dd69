"""The images: how big they are, how long they take to build, and how long it is from an edit to a pod that runs it.

Each part is beside what it is measured against: the sizes beside the project's own limits, the builds beside a plain
`docker build`, the way to the pod beside `docker build` and `kind load docker-image`. All edits are made in a throwaway
copy of the checkout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bench import builds, edits, image_sizes, throwaway

if TYPE_CHECKING:
    from tests.bench.setting import Setting


def measure(at: Setting) -> dict[str, Any]:
    """The figures of the three parts; images of the checkout that the engine lacks are built first."""
    with throwaway.copy() as copy:
        copy.tidegate("images", "build")
        return {
            "sizes": image_sizes.measure(copy.references()),
            "builds": builds.measure(copy, rounds=at.wish.edit_rounds),
            "edits": edits.measure(at, copy, rounds=at.wish.edit_rounds),
        }


def show(found: dict[str, Any]) -> str:
    """The section of the report."""
    parts = [image_sizes.show(found["sizes"]), builds.show(found["builds"]), edits.show(found["edits"])]
    return "\n\n".join(parts)
