-- Who claims, and what was taken over. A heed that does not know it would overwrite what others claimed.
UPDATE meta SET value = 20 WHERE name = 'oldest_program';

ALTER TABLE message ADD COLUMN gateway INTEGER NOT NULL DEFAULT 0; -- who claimed it last

CREATE TABLE gateway (
	n INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	boot TEXT NOT NULL, -- of the machine that it ran on last
	at INTEGER NOT NULL -- its last report
);

-- Attempts of gateways that may still be alive, taken over from them: on their way until they report.
CREATE TABLE taken_over (
	contact INTEGER NOT NULL,
	message INTEGER NOT NULL,
	customer INTEGER NOT NULL,
	until INTEGER NOT NULL,
	PRIMARY KEY (contact, message)
) WITHOUT ROWID;
CREATE INDEX taken_over_by_customer ON taken_over (customer);
