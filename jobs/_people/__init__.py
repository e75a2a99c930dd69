"""What the people steps share: the database and its schema. Not a step: the name begins with an underscore."""
