-- Outside a transaction: each index by itself, so that others read and write meanwhile. After
-- the documents, as an index of what is there is made faster than kept while it comes.

CREATE INDEX CONCURRENTLY IF NOT EXISTS studies_newest_of_all
  ON studies (sort_key DESC, study_instance_uid, id);

CREATE INDEX CONCURRENTLY IF NOT EXISTS studies_by_patient_name
  ON studies (institution_id, patient_name, sort_key, study_instance_uid, id);

CREATE INDEX CONCURRENTLY IF NOT EXISTS studies_patient_name_tokens
  ON studies USING gin (institution_id, patient_name_tokens) WITH (fastupdate = off);

CREATE INDEX CONCURRENTLY IF NOT EXISTS studies_referring_tokens
  ON studies USING gin (institution_id, referring_physician_name_tokens) WITH (fastupdate = off);
