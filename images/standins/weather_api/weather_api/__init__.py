"""A stand-in for OpenWeatherMap: answers like the real one does today, with weather that it makes up.

`/data/2.5/weather?lat&lon` (or `id` of a place it knows) with `appid`, `units`; 401 without the right key, 400 without
a place, 429 with Retry-After over the limit of calls a minute. `/data/2.5/group` and `/data/2.5/box/city` answer 401,
as they do since 2025-07-31. Not the real thing: the weather follows from the place and the hour; `lang` and `mode` do
nothing.
"""
