"""One URL → its bytes, with deadlines, limits and consent.

urls           a corpus's URL → one that can be asked, quoted as a browser would
blocklist      what must not be fetched or kept
tombstones     what was purged and never comes back
addresses      which addresses and ports may be dialled
host_queue     whose turn it is: two requests a host, pauses that hosts ask for
consent        opt-out headers → a verdict
picture_consent  a picture's own XMP and C2PA manifest → a verdict
robots         robots.txt → what it says of a path
tdmrep         tdmrep.json → whether a path is reserved
sites          both asked once a day and site, and kept as evidence
body           reading a body: capped, unpacked, within a memory budget
errors         errors of aiohttp and the system → reasons
client         the guarded HTTP client: the only place that opens a connection
fetcher        all of it together: a row passes every check in order
"""
