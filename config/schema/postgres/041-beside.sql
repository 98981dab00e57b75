-- What choosing needs of a customer stands together: a copy of the addresses and preferences beside the facts, so
-- that a message looks at two pages instead of eight.

-- Fields one behind the other, each its length in bytes, a colon, and the bytes ("-:" is NULL). NULL: there is no
-- copy, and the tables are read (it would be long).
--   addresses: n, channel, value, details, state, seq of each, by position
--   choices: product, channels, hours, digest, paused_until, version, changed_at, changed_by, seq of each
ALTER TABLE customer ADD COLUMN addresses text;
ALTER TABLE customer ADD COLUMN choices text;

-- Its state was changed since it was made: what stands beside a customer may be of before, this row is right.
ALTER TABLE address ADD COLUMN moved smallint NOT NULL DEFAULT 0;
CREATE INDEX address_moved ON address (n) INCLUDE (state, seq) WHERE moved <> 0;

CREATE VIEW customer_beside (n, addresses, choices) AS SELECT k.n,
	(SELECT CASE WHEN length(t) <= 2000 THEN t END FROM (SELECT coalesce(string_agg(
		length(a.n::text) || ':' || a.n ||
		octet_length(a.channel) || ':' || a.channel ||
		octet_length(a.value) || ':' || a.value ||
		octet_length(l.details) || ':' || l.details ||
		length(a.state::text) || ':' || a.state ||
		length(a.seq::text) || ':' || a.seq, '' ORDER BY l.position), '') AS t
		FROM customer_address l JOIN address a ON a.n = l.address WHERE l.customer = k.n) f),
	(SELECT CASE WHEN length(t) <= 2000 THEN t END FROM (SELECT coalesce(string_agg(
		octet_length(p.product) || ':' || p.product ||
		coalesce(octet_length(p.channels) || ':' || p.channels, '-:') ||
		octet_length(p.hours) || ':' || p.hours ||
		octet_length(p.digest) || ':' || p.digest ||
		length(p.paused_until::text) || ':' || p.paused_until ||
		length(p.version::text) || ':' || p.version ||
		length(p.changed_at::text) || ':' || p.changed_at ||
		octet_length(p.changed_by) || ':' || p.changed_by ||
		length(p.seq::text) || ':' || p.seq, '' ORDER BY p.product), '') AS t
		FROM preference p WHERE p.customer = k.n) f)
	FROM customer k;

UPDATE customer SET (addresses, choices) = (SELECT b.addresses, b.choices FROM customer_beside b WHERE b.n = customer.n);

-- Whoever does not say that he keeps the copy (a heed that does not know it, somebody by hand) loses it by what he
-- writes: the tables are read until it is written again.
CREATE FUNCTION customer_beside_lost() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_TABLE_NAME = 'preference' THEN
		UPDATE customer SET choices = NULL WHERE n = coalesce(NEW.customer, OLD.customer);
	ELSE
		UPDATE customer SET addresses = NULL WHERE n = coalesce(NEW.customer, OLD.customer);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER beside_lost AFTER INSERT OR UPDATE OR DELETE ON preference FOR EACH ROW
	WHEN (current_setting('heed.beside', true) IS DISTINCT FROM 'kept') EXECUTE FUNCTION customer_beside_lost();
CREATE TRIGGER beside_lost AFTER INSERT OR UPDATE OR DELETE ON customer_address FOR EACH ROW
	WHEN (current_setting('heed.beside', true) IS DISTINCT FROM 'kept') EXECUTE FUNCTION customer_beside_lost();
CREATE FUNCTION address_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.moved := 1;
	RETURN NEW;
END $$;
CREATE TRIGGER address_moves BEFORE UPDATE OF state, seq ON address FOR EACH ROW
	WHEN (current_setting('heed.beside', true) IS DISTINCT FROM 'kept') EXECUTE FUNCTION address_moves();
