-- Who claims. A heed that does not know it would overwrite what others claimed.
UPDATE meta SET value = 20 WHERE name = 'oldest_program';

ALTER TABLE message ADD COLUMN gateway INTEGER NOT NULL DEFAULT 0; -- who claimed it last

CREATE TABLE gateway (
	n INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	boot TEXT NOT NULL, -- of the machine that it ran on last
	at INTEGER NOT NULL -- its last report
);
