"""The steps: one module each, what runs inside its pod. A step imports `tidegate.step` and no other step."""
