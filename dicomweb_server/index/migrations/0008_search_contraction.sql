-- Outside a transaction: paragraph by paragraph, see 0003.
--
-- Every row has its document. That it has is checked while others read and write, and the
-- constraint then spares NOT NULL the look at the rows.

LOCK TABLE studies IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE studies DROP CONSTRAINT IF EXISTS studies_document,
                    ADD CONSTRAINT studies_document CHECK (document IS NOT NULL) NOT VALID;

LOCK TABLE series IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE series DROP CONSTRAINT IF EXISTS series_document,
                   ADD CONSTRAINT series_document CHECK (document IS NOT NULL) NOT VALID;

LOCK TABLE instances IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE instances DROP CONSTRAINT IF EXISTS instances_document,
                      ADD CONSTRAINT instances_document CHECK (document IS NOT NULL) NOT VALID;

ALTER TABLE studies VALIDATE CONSTRAINT studies_document;

ALTER TABLE series VALIDATE CONSTRAINT series_document;

ALTER TABLE instances VALIDATE CONSTRAINT instances_document;

LOCK TABLE studies IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE studies ALTER COLUMN document SET NOT NULL;
DROP TRIGGER IF EXISTS studies_of_earlier_version ON studies;

LOCK TABLE series IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE series ALTER COLUMN document SET NOT NULL;
DROP TRIGGER IF EXISTS series_of_earlier_version ON series;

LOCK TABLE instances IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE instances ALTER COLUMN document SET NOT NULL;
DROP TRIGGER IF EXISTS instances_of_earlier_version ON instances;

DROP FUNCTION IF EXISTS refuse_earlier_version;

-- From here on servers of the version before cannot search any more.

LOCK TABLE studies IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE studies DROP CONSTRAINT IF EXISTS studies_document,
                    DROP COLUMN IF EXISTS attributes;

LOCK TABLE series IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE series DROP CONSTRAINT IF EXISTS series_document,
                   DROP COLUMN IF EXISTS attributes;

LOCK TABLE instances IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE instances DROP CONSTRAINT IF EXISTS instances_document,
                      DROP COLUMN IF EXISTS attributes;

DROP INDEX CONCURRENTLY IF EXISTS studies_modalities;

DROP INDEX CONCURRENTLY IF EXISTS studies_patient_name;
