"""The ledger's tables and statements: all SQL of the ledger stands here, and only indexer.ledger runs it."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS urls (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL UNIQUE,
    priority INTEGER NOT NULL,
    wanted INTEGER NOT NULL,                -- the latest generation of matches that held it; < 0: shelved
    blocked INTEGER NOT NULL DEFAULT 0,     -- the latest generation in which one of its uids was blocked
    state TEXT NOT NULL DEFAULT 'queued',
    reason TEXT,
    status INTEGER,
    final_url TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0,       -- seconds since 1970
    bytes INTEGER,
    width INTEGER,
    height INTEGER,
    sha256 TEXT,
    sha1 TEXT,
    md5 TEXT,
    consent TEXT                            -- the header lines it was judged by, or 'unchecked: …'
);
CREATE INDEX IF NOT EXISTS urls_queued ON urls (priority, id) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS urls_due ON urls (next_try) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS urls_sha256 ON urls (sha256) WHERE sha256 IS NOT NULL;
CREATE TABLE IF NOT EXISTS files (
    sha256 TEXT PRIMARY KEY,
    state TEXT NOT NULL,                    -- spooled, packed or dropped
    reason TEXT,
    path TEXT,                              -- relative to the workspace
    width INTEGER,
    height INTEGER,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures (
    sha256 TEXT PRIMARY KEY,
    signature BLOB NOT NULL,                -- core.picture_hash.signature
    same_as TEXT                            -- the first picture that looks like it; NULL: not compared yet
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sites (
    site TEXT PRIMARY KEY,                  -- scheme://host:port
    time REAL NOT NULL,                     -- seconds since 1970
    status INTEGER NOT NULL,                -- of robots.txt
    robots TEXT NOT NULL,
    tdmrep TEXT NOT NULL
) WITHOUT ROWID;
"""

SITE = "SELECT site, time, status, robots, tdmrep FROM sites WHERE site = ?"
NOTE_SITE = "INSERT OR REPLACE INTO sites VALUES (?, ?, ?, ?, ?)"

HAS_TABLES = "SELECT count(*) FROM sqlite_master WHERE name = 'files'"
HAS_PICTURES = "SELECT count(*) FROM sqlite_master WHERE name = 'pictures'"
NO_PICTURES = "CREATE TEMP TABLE pictures (sha256 TEXT, signature BLOB, same_as TEXT)"

# Notes about the ledger itself
META = "SELECT value FROM meta WHERE key = ?"
NOTE = "INSERT OR REPLACE INTO meta VALUES (?, ?)"

# Filling the queue
ENQUEUE = """
INSERT INTO urls (url, priority, wanted, blocked) VALUES (?, ?, ?, ?) ON CONFLICT (url) DO UPDATE SET
    priority = iif(abs(wanted) = excluded.wanted, min(priority, excluded.priority), excluded.priority),
    wanted = excluded.wanted,
    blocked = max(blocked, excluded.blocked)
"""
REQUEUE = """
UPDATE urls SET state = 'queued', reason = NULL, attempts = 0, next_try = 0
    WHERE reason = ? AND (? = 0 OR min(width, height) >= ?)
"""
REQUEUE_ID = "UPDATE urls SET state = 'queued', reason = NULL, attempts = 0, next_try = 0 WHERE id = ?"
RETRYABLE = "SELECT DISTINCT reason FROM urls WHERE state = 'failed' AND attempts <= ?"
RETRY = "UPDATE urls SET state = 'queued' WHERE state = 'failed' AND reason = ? AND attempts <= ?"
REFUSE = "UPDATE urls SET state = 'refused', reason = ? WHERE id = ?"
IDENTITIES = "SELECT id, url, reason, blocked, sha256, sha1, md5 FROM urls"

# Asking
FIND = "SELECT id, url, attempts, state FROM urls WHERE url = ?"
LEASABLE = """
SELECT id, url, attempts FROM urls WHERE state = 'queued' AND wanted = ? AND next_try <= ?
    ORDER BY priority, id LIMIT ?
"""
PAGE = """
SELECT priority, id, url, attempts, final_url FROM urls WHERE state = 'queued' AND wanted = ?
    AND next_try <= ? AND (priority, id) > (?, ?) ORDER BY priority, id LIMIT ?
"""
LEASE = "UPDATE urls SET state = 'leased' WHERE id = ?"
RELEASE_ALL = "UPDATE urls SET state = 'queued' WHERE state = 'leased'"
RELEASE = "UPDATE urls SET state = 'queued', next_try = max(next_try, ?) WHERE id = ?"
EARLIER = "UPDATE urls SET next_try = max(0, next_try - ?) WHERE state = 'queued' AND next_try > ?"
NEXT_DUE = "SELECT next_try FROM urls WHERE state = 'queued' AND wanted = ? ORDER BY next_try LIMIT 1"
QUEUED = "SELECT count(*) FROM urls WHERE state = 'queued' AND wanted = ?"
CANDIDATES = """
SELECT id, url FROM urls WHERE wanted = ? AND (state = 'queued' OR
    (state IN ('failed', 'dropped') AND coalesce(consent, '') NOT LIKE 'unchecked: from %'
        AND coalesce(reason, '') <> 'duplicate'))
"""
NEXT_SOURCE = """
UPDATE urls SET state = 'queued', reason = ?, status = ?, final_url = coalesce(?, final_url), next_try = 0
    WHERE id = ? AND state IN ('queued', 'leased')
"""
NO_SOURCE = """
UPDATE urls SET state = 'failed', reason = coalesce(reason, ?) WHERE state = 'queued' AND wanted = ?
    AND url GLOB ?
"""
ATTEMPTS = "SELECT attempts FROM urls WHERE id = ?"
SETTLE = """
UPDATE urls SET state = ?, reason = ?, attempts = attempts + 1, status = ?, final_url = ?, next_try = ?,
    consent = ?, bytes = ?, width = ?, height = ?, sha256 = ?, sha1 = ?, md5 = ?, wanted = abs(wanted)
    WHERE id = ?
"""

# Packing
SPOOL_FILE = "INSERT OR IGNORE INTO files (sha256, state, bytes) VALUES (?, 'spooled', ?)"
FILE_STATE = "SELECT state, reason FROM files WHERE sha256 = ?"
SPOOLED = "SELECT sha256, bytes FROM files WHERE state = 'spooled' ORDER BY sha256"
PATHS = "SELECT sha256, path FROM files WHERE state = 'packed' ORDER BY path"
PACK_FILE = """
INSERT INTO files (sha256, state, reason, path, width, height, bytes) VALUES (?, ?, ?, ?, ?, ?, 0)
    ON CONFLICT (sha256) DO UPDATE SET state = excluded.state, reason = excluded.reason, path = excluded.path,
    width = excluded.width, height = excluded.height
"""
NOTE_PICTURE = "INSERT OR IGNORE INTO pictures (sha256, signature) VALUES (?, ?)"
PACK_URLS = "UPDATE urls SET state = ?, reason = ? WHERE sha256 = ? AND state = 'spooled'"
ORPHANS = """
SELECT sha256, path FROM files WHERE state <> 'dropped'
    AND EXISTS (SELECT 1 FROM urls WHERE urls.sha256 = files.sha256)
    AND NOT EXISTS
        (SELECT 1 FROM urls WHERE urls.sha256 = files.sha256 AND urls.state IN ('packed', 'spooled'))
"""
LOSE_FILE = "DELETE FROM files WHERE sha256 = ?"
LOSE_URLS = """
UPDATE urls SET state = 'queued', reason = NULL, attempts = 0, next_try = 0, sha256 = NULL
    WHERE sha256 = ? AND state IN ('spooled', 'packed')
"""

# Copies among the pictures
SIGNATURE = "SELECT signature FROM pictures WHERE sha256 = ?"
NEW_PICTURES = """
SELECT sha256, signature FROM pictures WHERE same_as IS NULL AND sha256 > ? ORDER BY sha256 LIMIT ?
"""
FIRST_PICTURES = "SELECT sha256, signature FROM pictures WHERE same_as = sha256 ORDER BY sha256"
NOTE_SAME = "UPDATE pictures SET same_as = ? WHERE sha256 = ?"
FORGET_PICTURE = "DELETE FROM pictures WHERE sha256 = ?"
FORGET_SAME = "UPDATE pictures SET same_as = NULL WHERE same_as = ?"
PACKED_URLS = "SELECT url FROM urls WHERE state = 'packed' AND wanted = ? ORDER BY id"
SIGHTINGS = """
WITH sightings AS (
    SELECT u.id, u.url, u.priority, u.state, u.reason, u.sha256, coalesce(p.same_as, u.sha256) AS picture
    FROM urls u LEFT JOIN pictures p ON p.sha256 = u.sha256
    WHERE u.sha256 IS NOT NULL AND (u.reason = 'placeholder'
        OR (abs(u.wanted) = ?1 AND (u.state = 'packed' OR u.reason = 'duplicate')))
)
SELECT picture, id, url, priority, state, reason, sha256 FROM sightings
    WHERE picture IN (SELECT picture FROM sightings GROUP BY picture HAVING count(*) > 1)
        OR reason = 'duplicate' OR url IN (SELECT value FROM json_each(?2))
    ORDER BY picture, priority, url
"""
RESTORE_COPY = """
UPDATE urls SET reason = NULL, attempts = 0, next_try = 0, state = iif(EXISTS
        (SELECT 1 FROM files WHERE files.sha256 = urls.sha256 AND files.state = 'packed'), 'packed', 'queued')
    WHERE id = ?
"""
DROP_COPY = "UPDATE urls SET state = 'dropped', reason = ? WHERE id = ?"

# Reporting
COUNT = """
SELECT CASE WHEN state = 'queued' AND wanted < 0 THEN 'not_asked' WHEN state = 'leased' THEN 'queued'
    ELSE state END AS now, iif(state = 'queued', NULL, reason) AS why, count(*) FROM urls
    WHERE abs(wanted) = ? GROUP BY now, why ORDER BY now, why
"""
EXPORT = """
SELECT u.url, CASE u.state WHEN 'leased' THEN 'queued' ELSE u.state END, u.reason, u.status, u.attempts,
    f.path, coalesce(f.width, u.width), coalesce(f.height, u.height), u.sha256, u.md5
    FROM urls u LEFT JOIN files f ON u.sha256 = f.sha256 AND u.state = 'packed' ORDER BY u.url
"""
PACKED_IMAGES = """
SELECT u.url, f.path, f.width, f.height, u.sha256, u.sha1, u.md5, u.bytes, u.width, u.height, u.consent
    FROM urls u JOIN files f ON f.sha256 = u.sha256 WHERE u.state = 'packed' AND f.path IS NOT NULL
    ORDER BY u.id
"""

# Purging
CONTENTS = "SELECT id, url, final_url, sha256, sha1, md5 FROM urls"
ERASE_SITE = "DELETE FROM sites WHERE site = ?"
ERASE_URL = "DELETE FROM urls WHERE url = ?"

# Joining: temporary tables beside the ledger's own
MATCHED = "CREATE TEMP TABLE matched (url TEXT NOT NULL, class INTEGER, uid INTEGER, priority INTEGER)"
ADD_MATCHED = "INSERT INTO matched VALUES (?, ?, ?, ?)"
PLAN = """
SELECT p.url, p.uid, min(p.priority), group_concat(DISTINCT p.class) FROM matched p
    JOIN urls u ON u.url = p.url AND u.state = 'queued' GROUP BY p.url ORDER BY p.url
"""
UIDS = "CREATE TEMP TABLE uids (uid INTEGER PRIMARY KEY, url TEXT NOT NULL)"
ADD_UID = "INSERT OR IGNORE INTO uids VALUES (?, ?)"
URL_OF = "SELECT url FROM uids WHERE uid = ?"

# What another ledger knows
OUTCOMES = """
SELECT state, reason, status, final_url, attempts, next_try, consent, bytes, width, height, sha256, sha1, md5,
    url FROM urls WHERE state NOT IN ('leased', 'spooled') AND attempts > 0 AND coalesce(reason, '') <> ?
"""
INHERIT = """
UPDATE urls SET state = ?1, reason = ?2, status = ?3, final_url = ?4, attempts = ?5, next_try = ?6,
    consent = ?7, bytes = ?8, width = ?9, height = ?10, sha256 = ?11, sha1 = ?12, md5 = ?13,
    wanted = abs(wanted) WHERE url = ?14 AND state = iif(?1 = 'packed', 'packed', 'queued')
"""
DROPPED_FILES = "SELECT sha256, state, reason, path, width, height, bytes FROM files WHERE state = 'dropped'"
INHERIT_FILE = "INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)"
SITES = "SELECT site, time, status, robots, tdmrep FROM sites"
INHERIT_SITE = """
INSERT INTO sites VALUES (?, ?, ?, ?, ?) ON CONFLICT (site) DO UPDATE SET time = excluded.time,
    status = excluded.status, robots = excluded.robots, tdmrep = excluded.tdmrep
    WHERE excluded.time > sites.time
"""

# Pools: which classes a URL serves. A shelved URL (wanted < 0) isn't asked until a class needs it.
POOLS = """
CREATE TEMP TABLE pools (class INTEGER, id INTEGER, place INTEGER NOT NULL, PRIMARY KEY (class, id))
    WITHOUT ROWID
"""
ADD_POOL = """
INSERT INTO pools SELECT ?, id, ? FROM urls WHERE url = ?
    ON CONFLICT (class, id) DO UPDATE SET place = min(place, excluded.place)
"""
CLASS_POOLS = """
SELECT p.class, count(DISTINCT CASE u.state WHEN 'packed' THEN u.sha256 END),
    total(u.state NOT IN ('queued', 'leased', 'spooled')), total(u.state = 'queued' AND u.next_try > ?)
    FROM pools p JOIN urls u ON u.id = p.id GROUP BY p.class ORDER BY p.class
"""
PENDING = """
SELECT count(*) FROM pools p JOIN urls u ON u.id = p.id
    WHERE p.class = ? AND u.state = 'queued' AND u.wanted = ? AND u.next_try <= ?
"""
CALL = """
UPDATE urls SET wanted = -wanted WHERE id IN (SELECT u.id FROM pools p JOIN urls u ON u.id = p.id
    WHERE p.class = ? AND u.state = 'queued' AND u.wanted = ? AND u.next_try <= ? ORDER BY p.place LIMIT ?)
"""
SHELVE = "UPDATE urls SET wanted = -wanted WHERE state = 'queued' AND wanted = ?"
