-- What operators stopped. A heed that does not know them would send what is held.
UPDATE meta SET value = 3 WHERE name = 'oldest_program';

CREATE TABLE hold (
	kind INTEGER NOT NULL,
	name TEXT NOT NULL,
	why TEXT NOT NULL,
	held_by TEXT NOT NULL,
	actor TEXT NOT NULL,
	at INTEGER NOT NULL,
	seq INTEGER NOT NULL, -- of its change in the log
	PRIMARY KEY (kind, name)
) WITHOUT ROWID;

-- What waits of a campaign, and only that: to hold it or to take it back without a look at the rest.
CREATE INDEX message_campaign ON message (campaign) WHERE campaign <> '' AND due < 9223372036854775807;
