-- Outside a transaction: others read and write while an index is built.

CREATE INDEX CONCURRENTLY IF NOT EXISTS studies_name_keys
  ON studies USING gin (name_keys(institution_id, sort_key, patient_name, patient_name_other,
                                  patient_name_tokens)) WITH (fastupdate = off);

-- To be planned with it needs no statistics, and they would take seconds to make.
SET LOCAL lock_timeout = '300ms';
ALTER INDEX studies_name_keys ALTER COLUMN 1 SET STATISTICS 0;
