-- What a customer may ask: the choice binds, however much waits.

-- In slices, by number.
DROP INDEX waiting_by_customer;
CREATE INDEX waiting_by_customer ON waiting (customer, message);
