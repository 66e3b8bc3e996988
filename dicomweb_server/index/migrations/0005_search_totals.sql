-- What follows from the rows, once all have their documents. Writers wait; readers do not, but
-- for the moment in which the columns change.

LOCK TABLE studies IN EXCLUSIVE MODE;
INSERT INTO institution_totals (institution_id, studies, series, instances)
SELECT institution_id, count(*), sum(number_of_series), sum(number_of_instances)
  FROM studies GROUP BY institution_id
ON CONFLICT (institution_id) DO UPDATE
   SET studies = EXCLUDED.studies, series = EXCLUDED.series, instances = EXCLUDED.instances;

ALTER TABLE studies   ALTER COLUMN document SET NOT NULL, DROP COLUMN attributes;
ALTER TABLE series    ALTER COLUMN document SET NOT NULL, DROP COLUMN attributes;
ALTER TABLE instances ALTER COLUMN document SET NOT NULL, DROP COLUMN attributes;
