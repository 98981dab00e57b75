-- When a message may go: send_at, expiry, the list with patience, caps, digests.
-- A heed that knows only the first step would send what has expired.
UPDATE meta SET value = 2 WHERE name = 'oldest_program';

-- Made anew, so that the body stays last: what is looked at comes before its overflow pages.
DROP INDEX message_open;
ALTER TABLE message RENAME TO message_1;
CREATE TABLE message (
	n INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	hash BLOB NOT NULL,
	customer INTEGER NOT NULL,
	product TEXT NOT NULL,
	template TEXT NOT NULL,
	campaign TEXT NOT NULL,
	purpose INTEGER NOT NULL,
	lane INTEGER NOT NULL,
	admitted_at INTEGER NOT NULL,
	send_at INTEGER NOT NULL, -- 0: at once
	expires_at INTEGER NOT NULL, -- 0: never
	state INTEGER NOT NULL,
	waits_for TEXT NOT NULL,
	due INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	tries INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	lease INTEGER NOT NULL,
	give_up_at INTEGER NOT NULL,
	fault_since INTEGER NOT NULL,
	rejected TEXT NOT NULL,
	waited TEXT NOT NULL, -- channels whose wait ran out
	wait_channel TEXT NOT NULL, -- the channel of the list whose turn it is
	wait_since INTEGER NOT NULL,
	wait_until INTEGER NOT NULL, -- 0: no end
	best INTEGER NOT NULL, -- sent (3) or delivered (4), by an earlier channel; 0: nothing yet
	counted TEXT NOT NULL, -- the cap counters that it counts in, a line each
	channel TEXT NOT NULL,
	contact INTEGER NOT NULL,
	reasons TEXT NOT NULL,
	body TEXT NOT NULL
);
INSERT INTO message SELECT n, id, hash, customer, product, template, campaign, purpose, lane, admitted_at, 0, 0, state,
	waits_for, due, attempts, tries, epoch, lease, give_up_at, fault_since, rejected, '', '', 0, 0, 0, '', channel,
	contact, reasons, body FROM message_1;
DROP TABLE message_1;
CREATE INDEX message_open ON message (customer) WHERE state IN (2, 5);
-- What waits and can expire; nothing else is in it.
CREATE INDEX message_expires ON message (expires_at) WHERE expires_at > 0 AND due < 9223372036854775807;

-- How much of a cap a customer has had in a period. Those that are over go at the next count.
CREATE TABLE cap_count (
	customer INTEGER NOT NULL,
	name TEXT NOT NULL, -- what is counted, and the period
	used INTEGER NOT NULL,
	ends INTEGER NOT NULL,
	PRIMARY KEY (customer, name)
) WITHOUT ROWID;

-- The messages of a contact that has several (a digest).
CREATE TABLE contact_message (
	contact INTEGER NOT NULL,
	message INTEGER NOT NULL,
	PRIMARY KEY (contact, message)
) WITHOUT ROWID;
CREATE INDEX contact_message_by_message ON contact_message (message);
