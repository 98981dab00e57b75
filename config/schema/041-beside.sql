-- What choosing needs of a customer stands together: a copy of the addresses and preferences beside the facts, so
-- that a message looks at two pages instead of eight. A heed that does not know it would leave the copy behind.
UPDATE meta SET value = 41 WHERE name = 'oldest_program';

-- Fields one behind the other, each its length in bytes, a colon, and the bytes ("-:" is NULL). NULL: there is no
-- copy, and the tables are read (it would be long).
--   addresses: n, channel, value, details, state, seq of each, by position
--   choices: product, channels, hours, digest, paused_until, version, changed_at, changed_by, seq of each
ALTER TABLE customer ADD COLUMN addresses TEXT;
ALTER TABLE customer ADD COLUMN choices TEXT;

-- Its state was changed since it was made: what stands beside a customer may be of before, this row is right.
ALTER TABLE address ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
CREATE INDEX address_moved ON address (n, state, seq) WHERE moved <> 0;

CREATE VIEW customer_beside (n, addresses, choices) AS SELECT k.n,
	(SELECT CASE WHEN length(t) <= 2000 THEN t END FROM (SELECT coalesce(group_concat(f, ''), '') AS t FROM (SELECT
		length(a.n) || ':' || a.n ||
		length(CAST(a.channel AS BLOB)) || ':' || a.channel ||
		length(CAST(a.value AS BLOB)) || ':' || a.value ||
		length(CAST(l.details AS BLOB)) || ':' || l.details ||
		length(a.state) || ':' || a.state ||
		length(a.seq) || ':' || a.seq AS f
		FROM customer_address l JOIN address a ON a.n = l.address WHERE l.customer = k.n ORDER BY l.position))),
	(SELECT CASE WHEN length(t) <= 2000 THEN t END FROM (SELECT coalesce(group_concat(f, ''), '') AS t FROM (SELECT
		length(CAST(p.product AS BLOB)) || ':' || p.product ||
		coalesce(length(CAST(p.channels AS BLOB)) || ':' || p.channels, '-:') ||
		length(CAST(p.hours AS BLOB)) || ':' || p.hours ||
		length(CAST(p.digest AS BLOB)) || ':' || p.digest ||
		length(p.paused_until) || ':' || p.paused_until ||
		length(p.version) || ':' || p.version ||
		length(p.changed_at) || ':' || p.changed_at ||
		length(CAST(p.changed_by AS BLOB)) || ':' || p.changed_by ||
		length(p.seq) || ':' || p.seq AS f
		FROM preference p WHERE p.customer = k.n ORDER BY p.product)))
	FROM customer k;

UPDATE customer SET (addresses, choices) = (SELECT b.addresses, b.choices FROM customer_beside b WHERE b.n = customer.n);
