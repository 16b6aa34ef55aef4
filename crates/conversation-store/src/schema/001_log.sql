-- Conversations are never removed: a deleted one stays as a tombstone, so that its id can't come back to life.
CREATE TABLE conversation (
    key         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    head        INTEGER,
    last_seq    INTEGER NOT NULL DEFAULT 0,
    -- 0 live, 1 deleted with rows still to remove, 2 deleted and removed
    deleted     INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1, 2))
) STRICT;
CREATE INDEX conversation_live ON conversation (key) WHERE deleted = 0;
CREATE INDEX conversation_to_remove ON conversation (key) WHERE deleted = 1;

-- An agent as turns saw it. Endless conversations repeat it, so it is stored once.
CREATE TABLE agent_snapshot (
    hash TEXT NOT NULL PRIMARY KEY,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a turn's key names it to engines and caches, so it is never used twice.
CREATE TABLE turn (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation  INTEGER NOT NULL,
    id            TEXT    NOT NULL,
    parent        INTEGER,
    state         TEXT    NOT NULL
        CHECK (state IN ('pending', 'streaming', 'done', 'cancelled', 'failed', 'interrupted')),
    first_seq     INTEGER NOT NULL,
    end_seq       INTEGER,
    user_text     TEXT    NOT NULL,
    -- Both are null while the turn runs: its answer is in answer_part.
    answer_text   TEXT,
    answer_ids    BLOB,
    model         TEXT,
    prompt_tokens INTEGER,
    epoch         INTEGER,
    agent_id      TEXT    NOT NULL,
    agent_hash    TEXT    NOT NULL,
    options       TEXT    NOT NULL,
    seed          INTEGER NOT NULL,
    body_hash     TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    UNIQUE (conversation, id),
    CHECK ((state IN ('pending', 'streaming')) = (end_seq IS NULL))
) STRICT;
CREATE INDEX turn_of_conversation ON turn (conversation, key);
CREATE INDEX turn_running ON turn (key) WHERE state IN ('pending', 'streaming');
CREATE INDEX turn_agent ON turn (agent_hash);

-- The answer of a running turn, as it grows; joined into the turn when that ends.
CREATE TABLE answer_part (
    turn INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    text TEXT    NOT NULL,
    ids  BLOB,
    PRIMARY KEY (turn, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    conversation INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    turn         INTEGER,
    kind         TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    json         TEXT    NOT NULL,
    PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;
