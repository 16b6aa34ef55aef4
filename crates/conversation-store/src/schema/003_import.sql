-- A conversation that is being imported is there for nobody: it has a key, a name that no client may give, and state 3.
CREATE TABLE conversation_with_imports (
    key         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    head        INTEGER,
    last_seq    INTEGER NOT NULL DEFAULT 0,
    -- 0 live, 1 deleted with rows still to remove, 2 deleted and removed, 3 being imported
    deleted     INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1, 2, 3))
) STRICT;
INSERT INTO conversation_with_imports (key, id, created_at, updated_at, head, last_seq, deleted)
    SELECT key, id, created_at, updated_at, head, last_seq, deleted FROM conversation;
DROP TABLE conversation;
ALTER TABLE conversation_with_imports RENAME TO conversation;
CREATE INDEX conversation_live ON conversation (key) WHERE deleted = 0;
CREATE INDEX conversation_to_remove ON conversation (key) WHERE deleted = 1;
