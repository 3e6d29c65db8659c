"""The ledger's tables, and its longer statements."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS urls (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL UNIQUE,
    priority INTEGER NOT NULL,
    wanted INTEGER NOT NULL,                -- the latest generation of matches that held it
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
"""

SETTLE = """
UPDATE urls SET state = ?, reason = ?, attempts = attempts + 1, status = ?, final_url = ?, next_try = ?,
    consent = ?, bytes = ?, width = ?, height = ?, sha256 = ?, sha1 = ?, md5 = ? WHERE id = ?
"""
PACK_FILE = """
INSERT INTO files (sha256, state, reason, path, width, height, bytes) VALUES (?, ?, ?, ?, ?, ?, 0)
    ON CONFLICT (sha256) DO UPDATE SET state = excluded.state, reason = excluded.reason, path = excluded.path,
    width = excluded.width, height = excluded.height
"""
ORPHANS = """
SELECT sha256, path FROM files WHERE state <> 'dropped'
    AND EXISTS (SELECT 1 FROM urls WHERE urls.sha256 = files.sha256)
    AND NOT EXISTS
        (SELECT 1 FROM urls WHERE urls.sha256 = files.sha256 AND urls.state IN ('packed', 'spooled'))
"""
LOSE = """
UPDATE urls SET state = 'queued', reason = NULL, attempts = 0, next_try = 0, sha256 = NULL
    WHERE sha256 = ? AND state IN ('spooled', 'packed')
"""
COUNT = """
SELECT CASE state WHEN 'leased' THEN 'queued' ELSE state END AS shown, reason, count(*) FROM urls
    WHERE wanted = ? GROUP BY shown, reason ORDER BY shown, reason
"""
EXPORT = """
SELECT u.url, CASE u.state WHEN 'leased' THEN 'queued' ELSE u.state END, u.reason, u.status, u.attempts,
    f.path, coalesce(f.width, u.width), coalesce(f.height, u.height), u.sha256, u.md5
    FROM urls u LEFT JOIN files f ON u.sha256 = f.sha256 AND u.state = 'packed' ORDER BY u.url
"""
