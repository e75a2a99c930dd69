"""`tidegate status`: how the platform is, at a glance, and what to do about what is not well.

`gather` asks; `findings` judges what was answered, without asking anything; `shown` prints.
"""
