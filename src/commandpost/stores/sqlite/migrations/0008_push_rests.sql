-- A queue that failed says when it may be tried again, so that it need not be held in memory while it rests.
-- Conventions are those of 0001.

ALTER TABLE push_queue ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
