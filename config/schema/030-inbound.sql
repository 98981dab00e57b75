-- What comes in. A heed that does not know it would publish what customers said among the events.
UPDATE meta SET value = 30 WHERE name = 'oldest_program';

-- 0: events; 1: inbound
ALTER TABLE outbox ADD COLUMN stream INTEGER NOT NULL DEFAULT 0;

-- When heed last answered there by itself; 0: never.
ALTER TABLE address ADD COLUMN answered_at INTEGER NOT NULL DEFAULT 0;

-- Receipts that nothing is known of yet: by the provider's reference, or by the contact that they name.
CREATE TABLE kept_receipt (
	provider TEXT NOT NULL,
	provider_ref TEXT NOT NULL, -- '' where the contact is known
	contact INTEGER NOT NULL, -- 0 where it is not
	channel TEXT NOT NULL,
	at INTEGER NOT NULL,
	says INTEGER NOT NULL,
	address_dead INTEGER NOT NULL,
	code TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (provider, provider_ref, contact)
) WITHOUT ROWID;
CREATE INDEX kept_receipt_by_age ON kept_receipt (at);
